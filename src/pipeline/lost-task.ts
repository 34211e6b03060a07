/** A task that must not run twice, and whose server died when it had begun: nobody knows what it has done. */
import { setTimeout as sleep } from 'node:timers/promises';
import { OUTCOME_UNKNOWN, type Task, TaskFailed } from './task.ts';

export function lostCause(state: string): string {
  return `The server that ran ${state} ended before the task did; what it has done is not known.`;
}

/** Ends as lost once what carries it out elsewhere has surely ended. */
export function lostTask(task: Task, outlivesMs: number): Task {
  return {
    name: task.name,
    does: task.does,
    repeat: task.repeat,
    beginsItself: true,
    takesPlace: false,
    async run({ request }, signal) {
      await sleep(outlivesMs, undefined, { signal });
      throw new TaskFailed(OUTCOME_UNKNOWN, lostCause(request.state));
    },
  };
}
