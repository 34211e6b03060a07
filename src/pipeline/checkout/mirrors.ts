/**
 * A bare mirror of each repository, so that a push costs what it brings and no more. One fetch at a time for each; a
 * mirror that a crash has left unusable is made anew. Its folder's time is when it was used last.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import type { Git } from './git.ts';
import { type RepositoryUrl, repositoryUrl } from './repository-url.ts';

const FETCH_LIMIT_MS = 30 * 60_000;
const LOOK_LIMIT_MS = 60_000;
const BRANCHES_AND_TAGS = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];
const TIDY_EVERY_MS = 24 * 3_600_000;
const DAMAGED = /\.lock'|not a git repository|corrupt|bad object|unable to read|loose object/i;

/** A commit that somebody has told of, and where it is found when the branches do not hold it. */
export interface WantedCommit {
  readonly commit: string;
  readonly ref?: string;
  readonly from?: string;
}

export class Mirrors {
  readonly git: Git;
  readonly #directory: string;
  readonly #turns = new Map<string, Promise<unknown>>();
  /** When each was tidied up last, of the process's own clock. */
  readonly #tidiedMs = new Map<string, number>();

  constructor(git: Git, directory: string) {
    this.git = git;
    this.#directory = directory;
  }

  /** The mirror, with the newest of every branch and tag. */
  async fresh(address: string, depth: number | undefined, signal: AbortSignal): Promise<Mirror> {
    const from = repositoryUrl(address);
    const mirror = this.#mirror(from);
    await noteUse(mirror);
    await this.#inTurn(mirror, () => this.#fetch(mirror, from, BRANCHES_AND_TAGS, { depth, signal }));
    return mirror;
  }

  /** The mirror, once it holds the commit: without asking the repository where it does already. */
  async holding(
    address: string,
    { commit, ref, from }: WantedCommit,
    depth: number | undefined,
    signal: AbortSignal,
  ): Promise<Mirror> {
    const repository = repositoryUrl(address);
    const mirror = this.#mirror(repository);
    await noteUse(mirror);
    if (await mirror.holds(commit, signal)) return mirror;
    const isBranchOrTag = ref === undefined || /^refs\/(heads|tags)\//.test(ref);
    await this.#inTurn(mirror, async () => {
      if (from === undefined && isBranchOrTag) {
        await this.#fetch(mirror, repository, BRANCHES_AND_TAGS, { depth, signal });
      } else {
        const elsewhere = from === undefined ? repository : repositoryUrl(from);
        const kept = `refs/kiln/${createHash('sha256').update(`${elsewhere.url} ${ref}`).digest('hex')}`;
        await this.#fetch(mirror, elsewhere, [`+${ref}:${kept}`], { depth, signal });
      }
    });
    if (await mirror.holds(commit, signal)) return mirror;
    throw new KilnError('checkout.failed', `${repository.url} has no commit ${commit} any more.`, {
      next: 'Push it again, or start the pipeline at another commit.',
    });
  }

  /** Removes those that nobody has used since, but of these repositories. How many went. */
  async sweep(kept: readonly string[], usedFromMs: number, signal: AbortSignal): Promise<number> {
    const spared = new Set(kept.map((address) => this.#mirror(repositoryUrl(address)).directory));
    let swept = 0;
    for (const name of await this.#names()) {
      if (signal.aborted) break;
      const directory = path.join(this.#directory, name);
      if (spared.has(directory)) continue;
      const gone = await this.#inTurn({ directory }, () => removeUnused(directory, usedFromMs));
      if (gone) swept += 1;
    }
    return swept;
  }

  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  #mirror({ url }: RepositoryUrl): Mirror {
    const name = createHash('sha256').update(url).digest('hex').slice(0, 32);
    return new Mirror(this.git, path.join(this.#directory, `${name}.git`));
  }

  async #fetch(
    mirror: Mirror,
    { url, protocol }: RepositoryUrl,
    refspecs: readonly string[],
    { depth, signal }: { readonly depth: number | undefined; readonly signal: AbortSignal },
  ): Promise<void> {
    const deep = depth === undefined ? [] : [`--depth=${depth}`];
    const options = ['--quiet', '--prune', '--force', '--no-tags', '--no-write-fetch-head', ...deep];
    const argv = ['--git-dir', mirror.directory, 'fetch', ...options, '--', url, ...refspecs];
    const fetch = { argv, protocol, limitMs: FETCH_LIMIT_MS };
    await this.#make(mirror, signal);
    await this.#tidy(mirror, signal);
    try {
      await this.git.run(fetch, signal);
    } catch (error) {
      if (!(error instanceof KilnError && DAMAGED.test(error.message)) || signal.aborted) throw error;
      await rm(mirror.directory, { recursive: true, force: true });
      await this.#make(mirror, signal);
      await this.git.run(fetch, signal);
    }
  }

  /** Packs what has come in small pieces, once a day; when there is little of that, git does nothing. */
  async #tidy({ directory }: Mirror, signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    const lastMs = this.#tidiedMs.get(directory);
    this.#tidiedMs.set(directory, lastMs ?? nowMs);
    if (lastMs === undefined || nowMs - lastMs < TIDY_EVERY_MS) return;
    this.#tidiedMs.set(directory, nowMs);
    const argv = ['--git-dir', directory, 'gc', '--auto', '--quiet'];
    // A mirror that cannot be tidied can be fetched into, or that tells what is wrong with it.
    await this.git.ask({ argv, limitMs: FETCH_LIMIT_MS }, signal);
  }

  /** In one step, so that a mirror that is there is whole. */
  async #make({ directory }: Mirror, signal: AbortSignal): Promise<void> {
    const isThere = await stat(directory).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (isThere !== undefined) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const half = `${directory}.half`;
    await rm(half, { recursive: true, force: true });
    await this.git.run(
      { argv: ['init', '--quiet', '--bare', '--template=', '--', half], limitMs: LOOK_LIMIT_MS },
      signal,
    );
    const allowAny = ['--git-dir', half, 'config', 'uploadpack.allowAnySHA1InWant', 'true'];
    await this.git.run({ argv: allowAny, limitMs: LOOK_LIMIT_MS }, signal);
    await rename(half, directory);
  }

  async #inTurn<Result>(
    { directory }: Pick<Mirror, 'directory'>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const before = this.#turns.get(directory) ?? Promise.resolve();
    // Whether the one before failed is the affair of who asked for it.
    const turn = before.then(work, work);
    this.#turns.set(directory, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(directory) === turn) this.#turns.delete(directory);
    }
  }
}

async function noteUse({ directory }: Mirror): Promise<void> {
  const now = new Date();
  await utimes(directory, now, now).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/** In one step, as it was made: one that is there is whole. */
async function removeUnused(directory: string, usedFromMs: number): Promise<boolean> {
  if ((await stat(directory)).mtimeMs >= usedFromMs) return false;
  const gone = `${directory}.gone`;
  await rename(directory, gone);
  await rm(gone, { recursive: true, force: true });
  return true;
}

export interface CommitFacts {
  readonly sha: string;
  readonly author: string;
  readonly message: string;
  readonly committedAtMs: number;
}

/** What is asked of one: none of it reaches out. */
export class Mirror {
  readonly directory: string;
  readonly #git: Git;

  constructor(git: Git, directory: string) {
    this.#git = git;
    this.directory = directory;
  }

  async holds(commit: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#ask(['cat-file', '-e', commit], signal)) !== undefined;
  }

  /** The commit that a branch, a tag or the beginning of a commit's name stands for. */
  async resolve(at: string, signal: AbortSignal): Promise<string | undefined> {
    for (const name of [`refs/heads/${at}`, `refs/tags/${at}`, at]) {
      if (name === at && !/^(refs\/[^-].*|[0-9a-f]{7,64})$/.test(at)) continue;
      const found = await this.commitNamed(name, signal);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The whole name of the commit that git knows by this one. */
  async commitNamed(name: string, signal: AbortSignal): Promise<string | undefined> {
    const argv = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
    return (await this.#ask(argv, signal))?.trim();
  }

  /** A commit, or what a tag names, with a file of it; undefined: it is not here. One process tells it all. */
  async look(
    commit: string,
    files: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly facts: CommitFacts; readonly texts: readonly (string | undefined)[] } | undefined> {
    const call = this.#call(['cat-file', '--batch']);
    // Each question is a line.
    if ([commit, ...files].join('').includes('\n')) return undefined;
    const input = [`${commit}^{commit}`, ...files.map((file) => `${commit}:${file}`), ''].join('\n');
    const [found, ...blobs] = objectsIn(await this.#git.bytes({ ...call, input }, signal));
    if (found === undefined) return undefined;
    const texts = blobs.map((blob) => (blob?.type === 'blob' ? blob.body.toString('utf8') : undefined));
    return { facts: commitFacts(found), texts };
  }

  /** Files that differ; undefined: one of the two is not here, as where history is shallow. */
  async changedPaths(
    before: string,
    commit: string,
    since: 'before' | 'fork',
    signal: AbortSignal,
  ): Promise<readonly string[] | undefined> {
    const range = `${before}${since === 'fork' ? '...' : '..'}${commit}`;
    const text = await this.#ask(['diff', '--name-only', '--no-renames', '-z', range, '--'], signal);
    return text?.split('\0').filter((name) => name !== '');
  }

  /** True: a file of it is kept by Git LFS. */
  async usesLfs(commit: string, signal: AbortSignal): Promise<boolean> {
    const argv = ['grep', '--quiet', '-E', 'filter=lfs', commit, '--', '.gitattributes', '**/.gitattributes'];
    return (await this.#ask(argv, signal)) !== undefined;
  }

  #ask(argv: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    return this.#git.ask(this.#call(argv), signal);
  }

  #call(argv: readonly string[]) {
    return { argv: ['--git-dir', this.directory, ...argv], limitMs: LOOK_LIMIT_MS };
  }
}

interface GitObject {
  readonly name: string;
  readonly type: string;
  readonly body: Buffer;
}

/** What `git cat-file --batch` says, in the order of the questions; undefined: there is no such object. */
function objectsIn(output: Buffer): readonly (GitObject | undefined)[] {
  const found: (GitObject | undefined)[] = [];
  for (let at = 0; at < output.length; ) {
    const end = output.indexOf('\n', at);
    const [, name, type, size] = /^([0-9a-f]+) (\w+) (\d+)$/.exec(output.toString('utf8', at, end)) ?? [];
    at = end + 1;
    if (name === undefined || type === undefined) {
      found.push(undefined);
      continue;
    }
    found.push({ name, type, body: output.subarray(at, at + Number(size)) });
    at += Number(size) + 1;
  }
  return found;
}

function commitFacts({ name, body }: GitObject): CommitFacts {
  const text = body.toString('utf8');
  const head = text.slice(0, text.indexOf('\n\n'));
  const [, author = ''] = /^author (.*) \d+ [+-]\d{4}$/m.exec(head) ?? [];
  const [, seconds = '0'] = /^committer .* (\d+) [+-]\d{4}$/m.exec(head) ?? [];
  const message = text.slice(head.length).trim();
  return { sha: name, author, message, committedAtMs: Number(seconds) * 1_000 };
}
