import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z
  .strictObject({
    directory: z.string().startsWith('/').optional(),
    /** As Microtica calls it. */
    sourceLocation: z.string().startsWith('/').optional(),
    version: z.string().min(1).optional(),
  })
  .refine(({ directory, sourceLocation }) => (directory ?? sourceLocation) !== undefined, {
    error: 'directory is missing',
  });

/** `{directory, version?}` → the image, as `bake`; fails with `image.unfit` when that is no container. */
export function dockerBuild({ verbs }: TaskParts): Task {
  return {
    name: 'docker.build',
    does: 'bakes a container image from the Dockerfile of a folder',
    repeat: 'same-key',
    takesPlace: true,
    run: async (call, signal) => {
      const { sourceLocation = '', directory = sourceLocation, version } = argumentsOf(shape, call);
      return verbs.bake({ directory, version, kind: 'container' }, call, signal);
    },
  };
}
