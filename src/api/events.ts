import { z } from '@hono/zod-openapi';
import { atMs } from './names.ts';

const eventView = z
  .object({
    revision: z.int(),
    atMs,
    kind: z.string().openapi({ example: 'deployment.progress' }),
    subject: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .openapi('Event');

export const events = {
  'events.follow': {
    query: z.strictObject({
      after: z.coerce.number<number>().int().min(0).optional().openapi({
        type: 'integer',
        description: 'Begin after this revision; the header Last-Event-ID does the same and wins',
      }),
      kind: z.string().max(100).optional().openapi({ description: 'Only kinds that begin with this' }),
      subject: z.string().max(200).optional().openapi({ description: 'Only this subject' }),
    }),
    answer: eventView,
  },
};
