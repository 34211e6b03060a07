/** What an execution that may change nothing may still ask for. */
import { KilnError } from '../domain/errors.ts';
import { mayChange } from './commands/secret-values.ts';
import type { Task } from './task.ts';

/**
 * They are given nothing that is Kiln's. Every other is refused: `pipeline` too, which would run the stranger's own file
 * where it is given the stranger's folder, in an execution that nobody can tell from another any more.
 */
const FOR_ANYBODY: ReadonlySet<string> = new Set(['approve', 'cmd', 'http', 'notify']);

export function heldToRights(task: Task): Task {
  if (FOR_ANYBODY.has(task.name)) return task;
  return {
    ...task,
    async run(call, signal) {
      if (mayChange(call)) return task.run(call, signal);
      throw new KilnError(
        'auth.denied',
        `An execution that may change nothing cannot ask for ${task.name}.`,
        {
          next: 'Start it as a deployer; what comes from a fork never may.',
        },
      );
    },
  };
}
