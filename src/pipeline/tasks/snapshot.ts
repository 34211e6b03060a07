import { z } from 'zod';
import { channel, component, environment } from '../argument-shapes.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

const shape = z.strictObject({
  channel: channel.default('proven'),
  /** Unless given, all that have an image in the channel. */
  components: z.array(component, 'a list of components').optional(),
  /** What serves there already is left out. */
  environment: environment.optional(),
});

/** `{channel, components?, environment?}` → `{items: [{component, version, image}], takenAt}`, as it was at one moment. */
export const snapshot = taskVerb({
  name: 'snapshot',
  does: 'says which image each component has in a channel now',
  takes: shape,
  limit: { seconds: HOUR },
  repeat: 'same-key',
  takesPlace: false,
  run: ({ verbs }, wish) => verbs.snapshot(wish),
});
