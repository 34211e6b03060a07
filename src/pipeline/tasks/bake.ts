import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  directory: z.string().startsWith('/'),
  version: z.string().min(1).optional(),
});

/** `{directory, version?}` → the image: `{id, component, version}`. An unchanged source gives the image there is. */
export function bake({ verbs }: TaskParts): Task {
  return {
    name: 'bake',
    does: 'bakes an image from a folder',
    repeat: 'same-key',
    takesPlace: true,
    run: async (call, signal) => verbs.bake(argumentsOf(shape, call), call, signal),
  };
}
