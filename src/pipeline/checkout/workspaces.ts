/** Folders that executions have to themselves, with their source checked out at the exact commit. */
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { CheckoutOptions } from '../../domain/trigger.ts';
import { isMissing } from '../../files/system-error.ts';
import type { Mirror, Mirrors } from './mirrors.ts';
import { repositoryUrl } from './repository-url.ts';

const CHECKOUT_LIMIT_MS = 30 * 60_000;

export interface CheckoutWish {
  readonly repository: string;
  readonly commit: string;
  readonly options: CheckoutOptions;
}

export class Workspaces {
  readonly #mirrors: Mirrors;
  readonly #directory: string;

  constructor(mirrors: Mirrors, directory: string) {
    this.#mirrors = mirrors;
    this.#directory = directory;
  }

  /**
   * Checked out afresh: what a crash has left of it is removed first. Its path ends with the repository's name, which
   * a pipeline without a component is called by.
   */
  async make(name: string, wish: CheckoutWish, signal: AbortSignal, held?: Mirror): Promise<string> {
    const folder = this.#folder(name);
    const into = path.join(folder, nameOf(wish.repository));
    const { commit, options } = wish;
    const mirror = held ?? (await this.#mirrors.holding(wish.repository, { commit }, options.depth, signal));
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const [usesLfs] = await Promise.all([
      options.lfs && mirror.usesLfs(commit, signal),
      this.#copy(mirror, wish, into, signal),
    ]);
    if (usesLfs) await this.#requireLfs(wish, signal);
    if (options.submodules) await this.#submodules(wish, into, signal);
    if (usesLfs) await this.#largeFiles(wish, into, signal);
    return into;
  }

  async isThere(name: string): Promise<boolean> {
    return (await this.#find(this.#folder(name))) !== undefined;
  }

  async remove(name: string): Promise<void> {
    await rm(this.#folder(name), { recursive: true, force: true });
  }

  async names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  async #copy(
    mirror: Mirror,
    { repository, commit, options }: CheckoutWish,
    into: string,
    signal: AbortSignal,
  ) {
    const git = this.#mirrors.git;
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
    if ((await this.#find(path.join(into, '.gitmodules'))) === undefined) return;
    const { protocol } = repositoryUrl(repository);
    const deep = options.depth === undefined ? [] : [`--depth=${options.depth}`];
    const argv = ['-C', into, 'submodule', 'update', '--init', '--recursive', '--quiet', ...deep];
    await this.#mirrors.git.run({ argv, protocol, limitMs: CHECKOUT_LIMIT_MS }, signal);
  }

  async #requireLfs({ repository }: CheckoutWish, signal: AbortSignal): Promise<void> {
    const version = await this.#mirrors.git.ask({ argv: ['lfs', 'version'], limitMs: 30_000 }, signal);
    const { url } = repositoryUrl(repository);
    if (version === undefined) {
      throw new KilnError('tool.missing', `${url} keeps files in Git LFS, and there is no git-lfs here.`, {
        next: 'Install it on the server’s machine (apt-get install git-lfs), or write lfs: false under Checkout.',
      });
    }
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
    await this.#mirrors.git.run({ argv, protocol, settings, limitMs: CHECKOUT_LIMIT_MS }, signal);
  }

  async #find(file: string) {
    return stat(file).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
  }

  #folder(name: string): string {
    return path.join(this.#directory, name);
  }
}

/** The last part of its address. */
function nameOf(repository: string): string {
  const [, last = ''] = /([^/:]+?)(?:\.git)?\/*$/.exec(repository) ?? [];
  return /^\w[\w.-]*$/.test(last) ? last : 'source';
}

/** A folder of the checkout, whose links lead nowhere else. */
export async function folderWithin(root: string, directory: string): Promise<string> {
  const whole = await realpath(root);
  const folder = await realpath(path.join(whole, directory)).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
    throw new KilnError('checkout.failed', `The commit has no folder ${directory}.`, {
      cause: error,
      next: 'Register the source anew with the folder that it is in now.',
    });
  });
  if (folder === whole || folder.startsWith(`${whole}${path.sep}`)) return folder;
  throw new KilnError('path.escapes', `${directory} leads out of the repository.`, {
    next: 'Name a folder of the repository that is no link.',
  });
}
