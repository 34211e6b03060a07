/** Registers what Kiln watches, and takes what people and hooks ask of it. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Change } from '../../domain/change.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { AskedEvent, PipelineSource, PushEvent, SourceLocation } from '../../domain/trigger.ts';
import { isMissing } from '../../files/system-error.ts';
import type { Mirrors } from '../checkout/mirrors.ts';
import { remoteRefs } from '../checkout/remote-refs.ts';
import { repositoryUrl } from '../checkout/repository-url.ts';
import { folderWithin, type Workspaces } from '../checkout/workspaces.ts';
import { pipelineIn } from '../pipeline-files.ts';
import { eventKey, executionOf } from './event-key.ts';
import type { Taken, TriggerInbox } from './inbox.ts';
import { assertParametersFit, type DescribeComponent, declaredBy } from './source-facts.ts';
import { folderInRepository } from './source-folder.ts';

const NO_COMMIT = /^0+$/;

export interface SourcesParts {
  readonly store: TriggerStore;
  readonly inbox: TriggerInbox;
  readonly mirrors: Mirrors;
  readonly workspaces: Workspaces;
  readonly describe: DescribeComponent;
  readonly clock: Clock;
  readonly newId: () => string;
}

export interface WatchWish {
  /** Address of a repository, or an absolute path of one or of a plain folder. */
  readonly at: string;
  readonly directory?: string;
  readonly file?: string;
  /** Absent: the one that the repository's HEAD names. */
  readonly branch?: string;
  readonly pollEveryMs?: number;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** One line of what git tells a post-receive hook. */
export interface RefMove {
  readonly before: string;
  readonly after: string;
  readonly ref: string;
}

export class Sources {
  readonly #parts: SourcesParts;

  constructor(parts: SourcesParts) {
    this.#parts = parts;
  }

  /** What stands in the repository now is no push: it starts with what comes after. */
  async watch(
    wish: WatchWish,
    owner: PipelineSource['owner'],
    change: Change,
    signal: AbortSignal,
  ): Promise<PipelineSource> {
    const location = await locationOf(wish.at);
    const directory = folderInRepository(wish.directory ?? '');
    const id = `src-${this.#parts.newId()}`;
    const { file, parameters, pollEveryMs } = wish;
    const given = {
      id,
      directory,
      parameters,
      owner,
      createdAtMs: change.atMs,
      ...(file !== undefined && { file }),
    };
    if (location.kind === 'folder') return this.#watchFolder({ ...given, location }, change);
    const { heads, defaultBranch = 'main' } = await remoteRefs(this.#parts.mirrors.git, location.url, signal);
    const branch = wish.branch ?? defaultBranch;
    const head = heads.find(({ ref }) => ref === `refs/heads/${branch}`);
    if (head === undefined) {
      throw new KilnError('input.invalid', `${location.url} has no branch ${branch}.`, {
        next: 'Push it first, or name another one with --branch.',
      });
    }
    const facts = await this.#factsAt(
      location.url,
      head.commit,
      { branch, directory, parameters, ...(file && { file }) },
      id,
      signal,
    );
    const polled = pollEveryMs === undefined ? {} : { pollEveryMs };
    return this.#parts.store.register({ ...given, location, branch, ...facts, ...polled }, heads, change);
  }

  async remove(id: string, change: Change): Promise<void> {
    if (!(await this.#parts.store.remove(id, change))) throw missing(id);
  }

  async get(id: string): Promise<PipelineSource> {
    return (await this.#parts.store.source(id)) ?? Promise.reject(missing(id));
  }

  /** Starts its pipeline at a branch, tag or commit; twice with one `delivery`, once. */
  async ask(
    id: string,
    wish: Omit<AskedEvent, 'source' | 'sender'>,
    actor: string,
  ): Promise<Required<Taken>> {
    await this.get(id);
    const event: AskedEvent = { ...wish, source: id, sender: actor };
    await this.#parts.inbox.startFor(event, { actor });
    // The same for the same wish, whether it was told before or not.
    return { source: id, execution: executionOf(id, eventKey(event, '')) };
  }

  /** What a post-receive hook tells. */
  async pushed(
    id: string,
    moves: readonly RefMove[],
    sender: string,
    actor: string,
  ): Promise<readonly Taken[]> {
    const { location } = await this.get(id);
    if (location.kind === 'folder') {
      throw new KilnError('input.conflict', `Source ${id} is a folder: nobody pushes to it.`, {
        next: 'Register its repository: kiln pipeline watch REPOSITORY',
      });
    }
    const taken: Taken[] = [];
    for (const { before, after, ref } of moves) {
      if (NO_COMMIT.test(after)) {
        await this.#parts.store.forgetHead(id, ref);
        continue;
      }
      const known = NO_COMMIT.test(before) ? {} : { before };
      const event: PushEvent = {
        kind: 'push',
        repository: { source: id },
        ref,
        commit: after,
        sender,
        ...known,
      };
      taken.push(...(await this.#parts.inbox.startFor(event, { actor })));
    }
    return taken;
  }

  async #watchFolder(
    given: Omit<PipelineSource, 'component' | 'triggers' | 'checkout' | 'branch'> & {
      readonly location: { readonly kind: 'folder'; readonly path: string };
    },
    change: Change,
  ): Promise<PipelineSource> {
    const folder = path.join(given.location.path, given.directory);
    const found = await pipelineIn(folder, given.file);
    const declared = await declaredBy(found, { ...given, branch: '' });
    await assertParametersFit(found, given.parameters);
    const { push: _push, pullRequest: _pullRequest, ...triggers } = declared.triggers;
    const described = await this.#parts.describe(folder);
    const source = { ...given, ...described, ...declared, branch: '', triggers };
    return this.#parts.store.register(source, [], change);
  }

  /** Read from a checkout of its own, which is gone again afterwards. */
  async #factsAt(
    repository: string,
    commit: string,
    at: Pick<PipelineSource, 'branch' | 'directory' | 'file' | 'parameters'>,
    workspace: string,
    signal: AbortSignal,
  ) {
    const { workspaces, describe } = this.#parts;
    try {
      const options = { submodules: false, lfs: false };
      const root = await workspaces.make(workspace, { repository, commit, options }, signal);
      const folder = await folderWithin(root, at.directory);
      const found = await pipelineIn(folder, at.file);
      const declared = await declaredBy(found, at);
      await assertParametersFit(found, at.parameters);
      return { ...declared, ...(await describe(folder)) };
    } finally {
      await workspaces.remove(workspace);
    }
  }
}

/** A folder that is a bare repository is one; any other is used as it is. */
async function locationOf(at: string): Promise<SourceLocation> {
  if (!path.isAbsolute(at)) return { kind: 'repository', url: repositoryUrl(at).url };
  const isThere = async (file: string): Promise<boolean> => {
    try {
      await stat(path.join(at, file));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  };
  if (!(await isThere('.'))) {
    throw new KilnError('input.invalid', `There is no ${at} on the server’s machine.`, {
      next: 'Name a folder or a repository that is there.',
    });
  }
  const isBare = (await isThere('HEAD')) && (await isThere('objects')) && (await isThere('refs'));
  return isBare ? { kind: 'repository', url: repositoryUrl(at).url } : { kind: 'folder', path: at };
}

function missing(id: string): KilnError {
  return new KilnError('not-found', `There is no source ${id}.`, { next: 'Run: kiln pipeline sources' });
}
