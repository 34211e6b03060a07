import { z } from '@hono/zod-openapi';
import { atMs, channelNameText, componentNameText, imageId, imageReferenceText } from './names.ts';

const named = z
  .object({ id: imageId, component: componentNameText, version: z.string() })
  .openapi('ImageName');

const rebakeView = z
  .object({
    image: named.openapi({ description: 'The image that is behind' }),
    base: z.string().openapi({ description: '`component@channel` that it follows' }),
    state: z.enum(['waits', 'bakes', 'checks', 'promotes', 'held', 'failed', 'elsewhere']).openapi({
      description: '`held`: baked and checked, and a channel demands more, or none is to be moved',
    }),
    running: z.boolean().openapi({ description: 'True: this server is at it now' }),
    onto: named.optional().openapi({ description: 'What the base is now' }),
    made: named.optional().openapi({ description: 'The new image' }),
    why: z.string().optional(),
    next: z.string().optional().openapi({ description: 'What to do about it' }),
    unmet: z
      .array(z.object({ channel: channelNameText, demands: z.array(z.string()) }))
      .optional()
      .openapi({ description: 'What its channels still demand' }),
  })
  .openapi('Rebake');

export const rebakes = {
  'rebakes.list': {
    answer: z
      .object({
        items: z.array(rebakeView),
        recent: z
          .array(
            z.object({
              image: imageId,
              onto: imageId,
              made: imageId.optional(),
              failed: z.string().optional().openapi({ description: 'Why it failed' }),
              atMs,
            }),
          )
          .openapi({ description: 'What ended last, newest first' }),
      })
      .openapi('Rebakes'),
  },
  'rebakes.retry': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: z
      .object({ retried: z.boolean().openapi({ description: 'False: it had not failed' }) })
      .openapi('RebakeRetried'),
  },
};
