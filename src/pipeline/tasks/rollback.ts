import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  component: z.string(),
  environment: z.string(),
  to: z.int().min(1).optional(),
});

/** `{component, environment, to?}` → `{release}`, once that serves again. */
export function rollback({ verbs }: TaskParts): Task {
  return {
    name: 'rollback',
    does: 'brings back the release that served before, or the one named',
    repeat: 'same-key',
    takesPlace: false,
    run: async (call, signal) => verbs.rollback(argumentsOf(shape, call), call, signal),
  };
}
