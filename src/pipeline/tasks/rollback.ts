import { z } from 'zod';
import { component, environment } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

/** `{component, environment, to?}` → `{release}`, once that serves again. */
export const rollback = taskVerb({
  name: 'rollback',
  does: 'brings back the release that served before, or the one named',
  takes: z.strictObject({ component, environment, to: z.int('the number of a release').min(1).optional() }),
  limit: { seconds: 6 * HOUR },
  repeat: 'same-key',
  takesPlace: false,
  run: ({ verbs }, wish, call, signal) => verbs.rollback(wish, call, signal),
});
