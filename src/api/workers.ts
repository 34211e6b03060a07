import { z } from '@hono/zod-openapi';
import { identifier } from './names.ts';

const label = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'a label');
const lease = z.string().min(1).max(200).openapi({ description: 'From the job as it was given' });
const params = z.strictObject({ id: identifier });
const answer = z.object({});

/** What a worker is given; the schema is Kiln's own on both sides, and changes with its version. */
const job = z
  .looseObject({
    id: z.string(),
    lease: z.string(),
    key: z.string().openapi({ description: 'Unique to this attempt of the task' }),
  })
  .openapi('WorkerJob');

export const workers = {
  'workers.take': {
    body: z
      .strictObject({
        worker: z.string().min(1).max(100).openapi({ description: 'Its name, for people' }),
        labels: z.array(label).max(50),
        waitSeconds: z.int().min(0).max(30).default(20),
      })
      .openapi('WorkerAsks'),
    answer: z.object({ job: job.optional() }),
  },
  'workers.begin': { params, body: z.strictObject({ lease }), answer },
  'workers.beat': { params, body: z.strictObject({ lease }), answer },
  'workers.log': {
    params,
    body: z.strictObject({
      lease,
      group: z.string().max(1_000).optional().openapi({ description: 'What follows belongs to it' }),
      base64: z.base64().optional().openapi({ description: 'Output as it was' }),
    }),
    answer,
  },
  'workers.end': {
    params,
    body: z.strictObject({
      lease,
      output: z.unknown().optional(),
      error: z.string().max(256).optional(),
      cause: z.string().max(32_768).optional(),
    }),
    answer,
  },
  'workers.source': {
    params,
    query: z.strictObject({ lease }),
    answer: z.string().openapi({ description: 'A tar file of the source' }),
  },
};
