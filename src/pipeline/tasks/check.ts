import { z } from 'zod';
import { component, environment, image } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

/** `{image}` or `{component, environment}` → `{passed, failed}`; fails with `check.failed`. */
export const check = taskVerb({
  name: 'check',
  does: 'checks an image, or what serves in an environment',
  takes: z.union([z.strictObject({ image }), z.strictObject({ component, environment })]),
  limit: { seconds: 2 * HOUR },
  repeat: 'same-key',
  takesPlace: true,
  run: ({ verbs }, wish, call, signal) => verbs.check(wish, call, signal),
});
