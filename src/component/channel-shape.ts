/** What channels demand of an image, as people write it in `kiln.yaml`. */
import { z } from 'zod';
import { duration, list, name, whole } from './plain-shapes.ts';

const MOST_CHECKS = 20;
const MOST_APPROVALS = 20;

const demands = z.strictObject(
  {
    checks: list(name(), 'a list of kinds of checks')
      .max(MOST_CHECKS, { error: `at most ${MOST_CHECKS} kinds of checks` })
      .optional()
      .describe('Kinds of checks, each carried out and passed last: boot, smoke, standard, in-image, scan.'),
    approvals: whole(0, MOST_APPROVALS)
      .optional()
      .meta({ description: 'So many people, other than the one who promotes, must approve.', default: 0 }),
    after: z
      .strictObject(
        {
          channel: name().describe('An earlier channel, which must have held the image.'),
          held: duration().optional().meta({ description: 'For how long, without a break.', default: '0s' }),
        },
        { error: 'a map: {channel, held}' },
      )
      .optional()
      .describe('An earlier channel that it must have been in.'),
  },
  { error: 'a map: {checks, approvals, after}' },
);

export const channels = z.record(name(), demands, { error: 'a map of channels by name' });

export type ChannelsInput = z.output<typeof channels>;
