import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({ image: z.string().min(1) });

/** `{image}` → `{passed, advisories}`; what the policy does not allow fails with `check.failed`. */
export function scan({ verbs }: TaskParts): Task {
  return {
    name: 'scan',
    does: 'scans an image, and judges what was found by the policy',
    repeat: 'same-key',
    takesPlace: true,
    run: async (call, signal) => verbs.scan(argumentsOf(shape, call), call, signal),
  };
}
