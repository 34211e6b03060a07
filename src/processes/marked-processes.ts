/**
 * Finds and ends every process of a piece of work, grandchildren with a session of their own included: all of them
 * carry its mark in their environment, which children inherit.
 */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../domain/errors.ts';
import { isSystemError } from '../files/system-error.ts';

/** The environment variable that marks one kind of work; its value says which piece of it. */
export interface Mark {
  readonly variable: string;
  /** What such processes belong to, for people. */
  readonly of: string;
}

const POLL_MS = 20;
const END_TIMEOUT_MS = 10_000;

/** Sends SIGKILL until none is left whose mark begins so. A process that unsets the mark escapes; a sandbox does not. */
export async function endMarked(mark: Mark, prefix: string): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  for (;;) {
    const pids = await markedProcesses(mark, prefix);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    if (performance.now() > deadline) {
      throw new KilnError('internal', `Processes of ${mark.of} do not end: ${pids.join(', ')}.`, {
        next: 'End them by hand; they may hang in the kernel.',
      });
    }
    await sleep(POLL_MS);
  }
}

export async function markedProcesses(mark: Mark, prefix: string): Promise<number[]> {
  const wanted = `\0${mark.variable}=${prefix}`;
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (`\0${await environmentOf(pid)}`.includes(wanted)) found.push(pid);
  }
  return found;
}

/** Empty for other users' processes, kernel threads and zombies: none of them is ours to end. */
async function environmentOf(pid: number): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!isSystemError(error, 'ESRCH')) throw error;
  }
}
