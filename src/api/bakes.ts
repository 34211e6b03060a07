import { z } from '@hono/zod-openapi';
import {
  atMs,
  bakeId,
  bakeIdText,
  componentNameText,
  digestText,
  imageId,
  tagKey,
  tagValue,
  versionText,
  waitQuery,
} from './names.ts';
import { failureView } from './problem.ts';

const bakeView = z
  .object({
    id: bakeId,
    state: z.enum(['running', 'baked', 'unchanged', 'failed', 'cancelled']).openapi({
      description: '`unchanged`: this key and version exist, nothing was built',
    }),
    directory: z.string(),
    image: z
      .object({
        id: imageId,
        component: componentNameText,
        version: z.string(),
        digest: digestText.optional(),
        sizeBytes: z.int().optional(),
        tested: z.boolean(),
      })
      .optional()
      .openapi({ description: 'Present when `baked` or `unchanged`' }),
    differences: z
      .array(z.object({ path: z.string(), change: z.enum(['added', 'removed', 'content', 'mode']) }))
      .optional()
      .openapi({ description: 'Of a verification: every file that differs; none when the builds are equal' }),
    failure: failureView.optional(),
    startedAtMs: atMs,
    startedBy: z.string(),
    endedAtMs: atMs.optional(),
  })
  .openapi('Bake');

/** What the log stream carries: `progress` events, then one `end` with the bake. */
const bakeProgress = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('stage'), name: z.string(), detail: z.string() }),
    z.object({ kind: z.literal('output'), line: z.string() }),
  ])
  .openapi('BakeProgress');

export const bakes = {
  'bakes.start': {
    body: z
      .strictObject({
        directory: z
          .string()
          .min(1)
          .max(4096)
          .refine((text) => text.startsWith('/') && !text.includes('\0'), {
            error: 'expected an absolute path',
          })
          .openapi({
            description: 'Folder of the component, on the server’s machine',
            example: '/srv/storefront',
          }),
        version: versionText.optional(),
        tags: z
          .record(tagKey, tagValue)
          .optional()
          .openapi({
            description: 'Tags for the image, also for one that is there already',
            example: { env: 'stage' },
          }),
        verify: z
          .boolean()
          .default(false)
          .openapi({ description: 'Build again without any cache and name every file that differs' }),
      })
      .openapi('BakeRequest'),
    answer: bakeView,
  },
  'bakes.get': {
    params: z.strictObject({ id: bakeIdText }),
    query: z.strictObject(waitQuery),
    answer: bakeView,
  },
  'bakes.log': {
    params: z.strictObject({ id: bakeIdText }),
    answer: bakeProgress,
  },
  'bakes.cancel': {
    params: z.strictObject({ id: bakeIdText }),
    answer: bakeView,
  },
};
