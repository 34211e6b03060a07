import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  channel: z.string().min(1).default('proven'),
  /** Unless given, all that have an image in the channel. */
  components: z.array(z.string().min(1)).optional(),
  /** What serves there already is left out. */
  environment: z.string().optional(),
});

/** `{channel, components?, environment?}` → `{items: [{component, version, image}], takenAt}`, as it was at one moment. */
export function snapshot({ verbs }: TaskParts): Task {
  return {
    name: 'snapshot',
    does: 'says which image each component has in a channel now',
    repeat: 'same-key',
    takesPlace: false,
    run: async (call) => verbs.snapshot(argumentsOf(shape, call)),
  };
}
