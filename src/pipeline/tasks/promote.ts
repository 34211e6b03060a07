import { z } from 'zod';
import { channel, image } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

/** `{image, channel}` → `{moved}`. */
export const promote = taskVerb({
  name: 'promote',
  does: 'moves a channel to an image',
  takes: z.strictObject({ image, channel }),
  // A moment's work; the rest is for a server that is away meanwhile.
  limit: { seconds: HOUR },
  repeat: 'same-key',
  takesPlace: false,
  run: ({ verbs }, wish, call) => verbs.promote(wish, call),
});
