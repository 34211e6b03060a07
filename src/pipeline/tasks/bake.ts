import { z } from 'zod';
import { folder, version } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

/** `{directory, version?}` → the image: `{id, component, version}`. An unchanged source gives the image there is. */
export const bake = taskVerb({
  name: 'bake',
  does: 'bakes an image from a folder',
  takes: z.strictObject({ directory: folder, version: version.optional() }),
  limit: { seconds: 4 * HOUR },
  repeat: 'same-key',
  takesPlace: true,
  run: ({ verbs }, wish, call, signal) => verbs.bake(wish, call, signal),
});
