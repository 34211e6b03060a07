import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.union([
  z.strictObject({ image: z.string().min(1) }),
  z.strictObject({ component: z.string(), environment: z.string() }),
]);

/** `{image}` or `{component, environment}` → `{passed, failed}`; fails with `check.failed`. */
export function check({ verbs }: TaskParts): Task {
  return {
    name: 'check',
    does: 'checks an image, or what serves in an environment',
    repeat: 'same-key',
    takesPlace: true,
    run: async (call, signal) => verbs.check(argumentsOf(shape, call), call, signal),
  };
}
