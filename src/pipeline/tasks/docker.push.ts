import { z } from 'zod';
import { image } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

const shape = z.strictObject({
  image,
  /** `HOST/NAME`, or with `:TAG`; otherwise the tag is the image's version. */
  to: z.string('HOST/NAME').min(1, 'HOST/NAME'),
});

/** `{image, to}` → `{reference, changed}`: the reference never means anything else. */
export const dockerPush = taskVerb({
  name: 'docker.push',
  does: 'pushes an image to a registry',
  takes: shape,
  limit: { seconds: 2 * HOUR },
  repeat: 'same-key',
  takesPlace: true,
  run: ({ verbs }, wish, call, signal) => verbs.push(wish, call, signal),
});
