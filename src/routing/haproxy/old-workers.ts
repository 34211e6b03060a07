/** Workers that reloads have left: they take no commands for servers any more, but say what they have in flight. */
import { sessionsByServer, sessionsWith } from './held.ts';
import type { HaproxyInstance } from './instance.ts';

/** In flight on all of them, by `backend/server`. */
export async function sessionsOnOldWorkers(instance: HaproxyInstance): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>();
  const processes = await instance.processes();
  for (const pid of processes?.oldWorkerPids ?? []) {
    // One that just ended has none.
    const text = await instance.onOldWorker(pid, 'show stat -1 4 -1').catch(() => '');
    for (const [name, count] of sessionsByServer(text)) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return sums;
}

/** Ends what they have in flight on this server, given as `backend/server`. */
export async function cutOnOldWorkers(instance: HaproxyInstance, name: string): Promise<void> {
  const processes = await instance.processes();
  for (const pid of processes?.oldWorkerPids ?? []) {
    // One that just ended has none.
    const text = await instance.onOldWorker(pid, 'show sess').catch(() => '');
    for (const session of sessionsWith(text, name)) {
      await instance.onOldWorker(pid, `shutdown session ${session}`).catch(() => '');
    }
  }
}
