/** Processes of commands carry a mark in their environment, which their children inherit: so all of them are found. */
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../domain/errors.ts';
import { isSystemError } from '../files/system-error.ts';

export const MARK_VARIABLE = 'KILN_COMMAND';
const POLL_MS = 20;
const LIMIT_MS = 10_000;

/** Sends SIGKILL until none is left whose mark begins so. */
export async function endMarked(markPrefix: string): Promise<void> {
  const until = performance.now() + LIMIT_MS;
  for (;;) {
    const pids = await marked(`\0${MARK_VARIABLE}=${markPrefix}`);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    if (performance.now() > until) {
      throw new KilnError('internal', `Processes of a command do not end: ${pids.join(', ')}.`, {
        next: 'End them by hand; they may hang in the kernel.',
      });
    }
    await sleep(POLL_MS);
  }
}

async function marked(wanted: string): Promise<readonly number[]> {
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
