/** The task `pipeline`: an execution of its own, whose id follows from the task's key, so that it is begun once. */
import { createHash } from 'node:crypto';
import type { Json } from './asl/json.ts';
import type { Pipelines } from './pipelines.ts';
import { isCancelled, type TaskCall, TaskFailed } from './task.ts';
import type { OtherWish } from './task-parts.ts';

const ROUND_MS = 60_000;

export async function startOther(
  pipelines: Pick<Pipelines, 'exists' | 'start' | 'show' | 'wait' | 'cancel'>,
  { directory, file, input, parameters, wait }: OtherWish,
  { key, actor, rights }: TaskCall,
  signal: AbortSignal,
): Promise<Json> {
  const id = `exec-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  if (!(await pipelines.exists(id))) {
    signal.throwIfAborted();
    const given = { ...(file !== undefined && { file }), ...(input !== undefined && { input }) };
    const wish = { directory, parameters, trigger: 'pipeline', ...given };
    await pipelines.start(wish, { actor, id, ...(rights && { rights }) });
  }
  if (!wait) return { execution: id, status: 'RUNNING' };
  try {
    while ((await pipelines.wait(id, ROUND_MS, signal)).endedAtMs === undefined) signal.throwIfAborted();
  } catch (error) {
    if (isCancelled(signal)) await pipelines.cancel(id, { actor });
    throw error;
  }
  const { record, output, error, cause } = await pipelines.show(id);
  if (record.status === 'SUCCEEDED') return { execution: id, status: record.status, output: output ?? null };
  throw new TaskFailed(error ?? record.status, cause ?? `Execution ${id} ended as ${record.status}.`);
}
