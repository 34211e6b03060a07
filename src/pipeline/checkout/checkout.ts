/** A repository in a folder: at the exact commit, with its submodules and large files. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { CheckoutOptions } from '../../domain/trigger.ts';
import { isMissing } from '../../files/system-error.ts';
import type { Mirror, Mirrors } from './mirrors.ts';
import { remoteRefs } from './remote-refs.ts';
import { repositoryUrl } from './repository-url.ts';

const CHECKOUT_LIMIT_MS = 30 * 60_000;
const WHOLE_COMMIT = /^([0-9a-f]{40}|[0-9a-f]{64})$/;

export interface CheckoutWish {
  readonly repository: string;
  readonly commit: string;
  readonly options: CheckoutOptions;
}

export class Checkout {
  readonly mirrors: Mirrors;

  constructor(mirrors: Mirrors) {
    this.mirrors = mirrors;
  }

  /** @param folder that is not there yet */
  async into(folder: string, wish: CheckoutWish, signal: AbortSignal, held?: Mirror): Promise<void> {
    const { repository, commit, options } = wish;
    const mirror = held ?? (await this.mirrors.holding(repository, { commit }, options.depth, signal));
    const [usesLfs] = await Promise.all([
      options.lfs && mirror.usesLfs(commit, signal),
      this.#copy(mirror, wish, folder, signal),
    ]);
    if (usesLfs) await this.#requireLfs(wish, signal);
    if (options.submodules) await this.#submodules(wish, folder, signal);
    if (usesLfs) await this.#largeFiles(wish, folder, signal);
  }

  /** The whole name of a commit that is given by its beginning, or of the newest of the branch that HEAD names. */
  async commitOf(repository: string, given: string | undefined, signal: AbortSignal): Promise<string> {
    if (given === undefined) return this.#newest(repository, signal);
    if (WHOLE_COMMIT.test(given)) return given;
    const mirror = await this.mirrors.holding(repository, { commit: given }, undefined, signal);
    return (await mirror.commitNamed(given, signal)) ?? given;
  }

  async #newest(repository: string, signal: AbortSignal): Promise<string> {
    const { defaultBranch, heads } = await remoteRefs(this.mirrors.git, repository, signal);
    const head = heads.find(({ ref }) => ref === `refs/heads/${defaultBranch}`);
    if (head !== undefined) return head.commit;
    throw new KilnError('checkout.failed', `${repository} has no branch that its HEAD names.`, {
      next: 'Push a branch, or give the commit.',
    });
  }

  async #copy(
    mirror: Mirror,
    { repository, commit, options }: CheckoutWish,
    into: string,
    signal: AbortSignal,
  ) {
    const git = this.mirrors.git;
    const limitMs = CHECKOUT_LIMIT_MS;
    const { url } = repositoryUrl(repository);
    const run = (argv: readonly string[]) => git.run({ argv, protocol: 'file', limitMs }, signal);
    if (options.depth === undefined) {
      await run([
        'clone',
        '--quiet',
        '--local',
        '--no-checkout',
        '--template=',
        '--',
        mirror.directory,
        into,
      ]);
    } else {
      await run(['init', '--quiet', '--template=', '--', into]);
      const wanted = [`--depth=${options.depth}`, '--', `file://${mirror.directory}`, commit];
      await run(['-C', into, 'fetch', '--quiet', '--no-tags', ...wanted]);
    }
    await Promise.all([
      run(['-C', into, 'config', 'remote.origin.url', url]),
      run(['-C', into, 'checkout', '--quiet', '--force', '--detach', commit]),
    ]);
  }

  /** By the protocol of the repository and no other: one from afar cannot name a folder of this machine. */
  async #submodules({ repository, options }: CheckoutWish, into: string, signal: AbortSignal): Promise<void> {
    if (!(await isThere(path.join(into, '.gitmodules')))) return;
    const { protocol } = repositoryUrl(repository);
    const deep = options.depth === undefined ? [] : [`--depth=${options.depth}`];
    const argv = ['-C', into, 'submodule', 'update', '--init', '--recursive', '--quiet', ...deep];
    await this.mirrors.git.run({ argv, protocol, limitMs: CHECKOUT_LIMIT_MS }, signal);
  }

  async #requireLfs({ repository }: CheckoutWish, signal: AbortSignal): Promise<void> {
    const version = await this.mirrors.git.ask({ argv: ['lfs', 'version'], limitMs: 30_000 }, signal);
    if (version !== undefined) return;
    const { url } = repositoryUrl(repository);
    throw new KilnError('tool.missing', `${url} keeps files in Git LFS, and there is no git-lfs here.`, {
      next: 'Install it on the machine that checks out (apt-get install git-lfs), or write lfs: false in the checkout’s options.',
    });
  }

  async #largeFiles({ repository }: CheckoutWish, into: string, signal: AbortSignal): Promise<void> {
    const { protocol } = repositoryUrl(repository);
    const settings = {
      'filter.lfs.clean': 'git-lfs clean -- %f',
      'filter.lfs.smudge': 'git-lfs smudge -- %f',
      'filter.lfs.process': 'git-lfs filter-process',
      'filter.lfs.required': 'true',
    };
    const argv = ['-C', into, 'lfs', 'pull', 'origin'];
    await this.mirrors.git.run({ argv, protocol, settings, limitMs: CHECKOUT_LIMIT_MS }, signal);
  }
}

export async function isThere(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
