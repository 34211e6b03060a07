import { z } from '@hono/zod-openapi';
import { identifier } from './names.ts';

const label = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'a label');
const lease = z.string().min(1).max(200).openapi({ description: 'From the job as it was given' });
const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest')
  .openapi({ example: `sha256:${'0'.repeat(64)}` });
const params = z.strictObject({ id: identifier });
const fileParams = z.strictObject({ id: identifier, digest });
const fromByte = z.strictObject({ lease, offset: z.coerce.number().int().min(0).default(0) });
const artifact = z.object({ digest, sizeBytes: z.int().positive() });
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
        protocol: z
          .int()
          .default(1)
          .openapi({ description: 'That it speaks; a server takes none but its own' }),
        labels: z.array(label).max(50),
        waitSeconds: z.int().min(0).max(30).default(20),
      })
      .openapi('WorkerAsks'),
    answer: z.object({ job: job.optional() }),
  },
  'workers.begin': { params, body: z.strictObject({ lease }), answer },
  'workers.release': { params, body: z.strictObject({ lease }), answer },
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
    body: z.union([
      z.strictObject({
        lease,
        output: z
          .strictObject({
            exitCode: z.int(),
            output: z.string().max(32_768),
            artifacts: z.record(z.string(), artifact).optional(),
          })
          .openapi({ description: 'It names artifacts that were sent and kept before' }),
      }),
      z.strictObject({ lease, error: z.string().max(256), cause: z.string().max(32_768).default('') }),
    ]),
    answer,
  },
  'workers.source': { params, body: z.strictObject({ lease }), answer: artifact.openapi('PackedSource') },
  'workers.fetch': {
    params: fileParams,
    query: fromByte,
    answer: z.string().openapi({ description: 'A tar file, from the byte on', format: 'binary' }),
  },
  'workers.send': {
    params: fileParams,
    query: fromByte,
    answer,
  },
  'workers.keep': {
    params: fileParams,
    body: z.strictObject({ lease, sizeBytes: z.int().positive() }),
    answer: artifact.openapi('WorkerArtifact'),
  },
};
