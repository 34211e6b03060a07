import { z } from 'zod';
import { folder, version } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

const shape = z
  .strictObject({
    directory: folder.optional(),
    /** As Microtica calls it. */
    sourceLocation: folder.optional(),
    version: version.optional(),
  })
  .refine(({ directory, sourceLocation }) => (directory ?? sourceLocation) !== undefined, {
    path: ['directory'],
    error: 'the whole path of a folder, beginning with /',
  });

/** `{directory, version?}` → the image, as `bake`; fails with `image.unfit` when that is no container. */
export const dockerBuild = taskVerb({
  name: 'docker.build',
  does: 'bakes a container image from the Dockerfile of a folder',
  takes: shape,
  limit: { seconds: 4 * HOUR },
  repeat: 'same-key',
  takesPlace: true,
  run: ({ verbs }, { sourceLocation = '', directory = sourceLocation, version: called }, call, signal) =>
    verbs.bake({ directory, version: called, kind: 'container' }, call, signal),
});
