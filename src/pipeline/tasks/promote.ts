import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({ image: z.string().min(1), channel: z.string().min(1) });

/** `{image, channel}` → `{moved}`. */
export function promote({ verbs }: TaskParts): Task {
  return {
    name: 'promote',
    does: 'moves a channel to an image',
    repeat: 'same-key',
    takesPlace: false,
    run: async (call) => verbs.promote(argumentsOf(shape, call), call),
  };
}
