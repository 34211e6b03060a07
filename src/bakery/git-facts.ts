/** What git knows of a component's folder: facts for an image's tags and its version, never inputs of the build. */
import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { GIT_ENVIRONMENT, gitArguments } from './git-command.ts';

const run = promisify(execFile);
const GIT_TIMEOUT_MS = 10_000;
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

export interface GitFacts {
  /** Of the commit that is checked out; absent before the first one. */
  readonly sha?: string;
  /** When that commit was made. */
  readonly committedAt?: string;
  /** True when the component's folder holds what no commit does. */
  readonly dirty: boolean;
  /** `git describe --tags --always`, with `-dirty` when dirty. */
  readonly describe?: string;
  /** Of the remote `origin`, without user or password. */
  readonly repository?: string;
}

/** Undefined: the folder is in no git repository, or git is not installed. */
export async function readGitFacts(directory: string, signal: AbortSignal): Promise<GitFacts | undefined> {
  if (!(await isInRepository(directory))) return undefined;
  const [status, describe, remote, committed] = await Promise.all([
    git(directory, ['status', '--porcelain=v2', '--branch', '--untracked-files=normal', '--', '.'], signal),
    git(directory, ['describe', '--tags', '--always'], signal),
    git(directory, ['config', '--get', 'remote.origin.url'], signal),
    git(directory, ['log', '--max-count=1', '--format=%ct'], signal),
  ]);
  if (status === undefined) return undefined;
  return factsOf(status, describe, remote, committed);
}

/** Pure. */
export function factsOf(
  status: string,
  describe: string | undefined,
  remote: string | undefined,
  committed?: string,
): GitFacts {
  const lines = status.split('\n').filter((line) => line !== '');
  const sha = /^# branch\.oid ([0-9a-f]{40,64})$/m.exec(status)?.[1];
  const dirty = lines.some((line) => !line.startsWith('#'));
  const seconds = Number(committed?.trim() ?? '');
  const described = describe?.trim() ?? '';
  const repository = remote === undefined ? undefined : withoutCredentials(remote.trim());
  return {
    dirty,
    ...(sha === undefined ? {} : { sha }),
    ...(seconds > 0 ? { committedAt: new Date(seconds * 1_000).toISOString() } : {}),
    ...(described === '' ? {} : { describe: dirty ? `${described}-dirty` : described }),
    ...(repository === undefined || repository === '' ? {} : { repository }),
  };
}

/** `https://user:token@host/path` → `https://host/path`; `git@host:path` names a user but holds no secret. */
export function withoutCredentials(remote: string): string {
  return remote.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*(?:@[^/@]*)*@/i, '$1');
}

async function isInRepository(directory: string): Promise<boolean> {
  for (let folder = path.resolve(directory); ; folder = path.dirname(folder)) {
    try {
      await access(path.join(folder, '.git'));
      return true;
    } catch {
      // Not here; perhaps above.
    }
    if (folder === path.dirname(folder)) return false;
  }
}

async function git(
  directory: string,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { stdout } = await run('git', gitArguments(directory, argv), {
      signal,
      timeout: GIT_TIMEOUT_MS,
      maxBuffer: OUTPUT_LIMIT_BYTES,
      env: GIT_ENVIRONMENT,
    });
    return stdout;
  } catch {
    signal.throwIfAborted();
    // No git, no commit yet, no remote: each is a fact that is not there, and a bake needs none of them.
    return undefined;
  }
}
