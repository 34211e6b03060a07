/**
 * The state directory: private to its user, of a known format, worked by one server at a time.
 */
import { randomUUID } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { KilnError } from '../domain/errors.ts';
import { readIfThereSync } from '../files/durable-file.ts';
import { type ProcessLock, takeProcessLock } from '../files/process-lock.ts';
import { isSystemError } from '../files/system-error.ts';

const FORMAT = 1;
const ID = /^[0-9a-f-]{36}$/;
const TAKE_OVER_LIMIT_MS = 60_000;
const TAKE_OVER_POLL_MS = 20;

/** What `server.json` says of the server that works the directory. */
const serverFileSchema = z.object({
  url: z.string(),
  pid: z.number().int(),
  version: z.string(),
  startedAtMs: z.number(),
});
export type ServerFile = z.infer<typeof serverFileSchema>;

export interface StateDirectory {
  readonly path: string;
  /** Of this directory alone, and the same for every server that works it. */
  readonly id: string;
  file(name: string): string;
  writeServerFile(content: ServerFile): void;
  release(): void;
}

/** Takes the directory, or with `takeOver` waits until the server that works it has let go. */
export async function openStateDirectory(
  directory: string,
  options: { readonly takeOver: boolean },
): Promise<StateDirectory> {
  makePrivate(directory);
  assertFormat(directory);
  const lock = await takeLock(directory, options.takeOver);
  writeFileSync(path.join(directory, 'format'), `${FORMAT}\n`, { mode: 0o600 });
  return {
    path: directory,
    id: ownId(path.join(directory, 'id')),
    file: (name) => path.join(directory, name),
    writeServerFile: (content) => {
      // In one step: whoever reads it meanwhile finds the older one or this one, whole.
      const file = path.join(directory, 'server.json');
      writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    release: () => lock.close(),
  };
}

/** Fails with `input.invalid` for what this user cannot have to itself, before anything is written there. */
function makePrivate(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if ((statSync(directory).mode & 0o077) !== 0) chmodSync(directory, 0o700);
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    if (!isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'EEXIST', 'ENOTDIR')) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new KilnError('input.invalid', `${directory} cannot be used as the state directory: ${why}.`, {
      next: 'Give the user that runs Kiln a directory of its own, or name another one with --state.',
      cause: error,
    });
  }
}

function ownId(file: string): string {
  const known = readIfThereSync(file)?.trim();
  // A crash may have cut it short.
  if (known !== undefined && ID.test(known)) return known;
  const id = randomUUID();
  writeFileSync(file, `${id}\n`, { mode: 0o600 });
  return id;
}

function assertFormat(directory: string): void {
  const text = readIfThereSync(path.join(directory, 'format'));
  if (text === undefined) return;
  const found = Number(text.trim());
  if (found > FORMAT || !Number.isInteger(found)) {
    throw new KilnError(
      'state.newer-version',
      `${directory} was written by a newer Kiln (format ${text.trim()}).`,
      {
        next: 'Run the newer Kiln, or give another directory with --state.',
      },
    );
  }
}

async function takeLock(directory: string, takeOver: boolean): Promise<ProcessLock> {
  const lockFile = path.join(directory, 'lock.db');
  const first = takeProcessLock(lockFile);
  if (first !== undefined) return first;
  const holder = readServerFile(directory);
  const named =
    holder === undefined ? 'another server' : `the server at ${holder.url} (process ${holder.pid})`;
  if (!takeOver) {
    throw new KilnError('state.in-use', `${directory} is worked by ${named}.`, {
      next: 'Use that one, stop it, or take over from it with: kiln serve --take-over',
    });
  }
  if (holder !== undefined) askToLeave(holder.pid);
  for (let waitedMs = 0; waitedMs < TAKE_OVER_LIMIT_MS; waitedMs += TAKE_OVER_POLL_MS) {
    await sleep(TAKE_OVER_POLL_MS);
    const lock = takeProcessLock(lockFile);
    if (lock !== undefined) return lock;
  }
  throw new KilnError('state.in-use', `${named} did not let go of ${directory} in time.`, {
    next: 'Look at its log, stop it, and start again.',
    retryable: true,
  });
}

function askToLeave(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    // Gone already: the lock is free, or will be in a moment.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function readServerFile(directory: string): ServerFile | undefined {
  const text = readIfThereSync(path.join(directory, 'server.json'));
  if (text === undefined) return undefined;
  try {
    return serverFileSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // It only names the server to people; the lock says whether there is one.
  }
}
