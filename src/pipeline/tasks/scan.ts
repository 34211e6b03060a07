import { z } from 'zod';
import { image } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

/** `{image}` → `{passed, advisories}`; what the policy does not allow fails with `check.failed`. */
export const scan = taskVerb({
  name: 'scan',
  does: 'scans an image, and judges what was found by the policy',
  takes: z.strictObject({ image }),
  limit: { seconds: 2 * HOUR },
  repeat: 'same-key',
  takesPlace: true,
  run: ({ verbs }, wish, call, signal) => verbs.scan(wish, call, signal),
});
