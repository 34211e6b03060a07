import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  image: z.string().min(1),
  /** `HOST/NAME`, or with `:TAG`; otherwise the tag is the image's version. */
  to: z.string().min(1),
});

/** `{image, to}` → `{reference, changed}`: the reference never means anything else. */
export function dockerPush({ verbs }: TaskParts): Task {
  return {
    name: 'docker.push',
    does: 'pushes an image to a registry',
    repeat: 'same-key',
    takesPlace: true,
    run: async (call, signal) => verbs.push(argumentsOf(shape, call), call, signal),
  };
}
