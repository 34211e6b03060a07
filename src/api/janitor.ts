import { z } from '@hono/zod-openapi';
import { KEEP_REASONS } from '../domain/retention.ts';
import { atMs, componentNameText, imageId, imageReferenceText, pageOf, pageQuery } from './names.ts';

const janitorView = z
  .object({
    enabled: z.boolean().openapi({ description: 'False: runs only say what they would do' }),
    lastRunAtMs: atMs.optional(),
    usesSeenAtMs: atMs.openapi({ description: 'When it was last noted which images run' }),
    policy: z.object({
      unusedMs: z.int(),
      noticeWorkingDays: z.int(),
      share: z.number(),
      sweptAtMost: z.int(),
      releasesKept: z.int(),
      staleMs: z.int(),
    }),
  })
  .openapi('Janitor');

const janitorRun = z
  .object({
    dryRun: z.boolean(),
    refused: z.string().optional().openapi({ description: 'Why nothing was done' }),
    images: z.int(),
    references: z.int(),
    kept: z.object({
      channel: z.int(),
      group: z.int(),
      release: z.int(),
      pinned: z.int(),
      young: z.int(),
      ancestor: z.int(),
    }),
    announced: z.int(),
    reprieved: z.int().openapi({ description: 'Announced before, and needed again' }),
    swept: z.int(),
    spared: z.int().openapi({ description: 'Came to be needed in the middle of the run' }),
    waiting: z.int(),
    deletedBlobs: z.int(),
    deletedBytes: z.int(),
    artifactsLeft: z
      .int()
      .openapi({ description: 'Could not be deleted where they are kept; the next run tries again' }),
    failures: z
      .array(z.object({ artifact: z.string(), why: z.string() }))
      .openapi({ description: 'Of the first of them' }),
  })
  .openapi('JanitorRun');

const announcedView = z
  .object({
    image: imageId,
    component: componentNameText,
    version: z.string(),
    announcedAtMs: atMs,
    sweepAfterMs: atMs.openapi({
      description: 'It goes in a run after this, unless it is needed or restored',
    }),
  })
  .openapi('AnnouncedImage');

const reference = { reference: imageReferenceText };

export const janitor = {
  'janitor.get': { answer: janitorView },
  'janitor.enable': {
    body: z.strictObject({ enabled: z.boolean() }).openapi('JanitorEnable'),
    answer: janitorView,
  },
  'janitor.run': {
    body: z.strictObject({ dryRun: z.boolean().default(false) }).openapi('JanitorRunRequest'),
    answer: janitorRun,
  },
  'janitor.announced': {
    query: z.strictObject(pageQuery),
    answer: pageOf(announcedView).openapi('AnnouncedImages'),
  },
  'janitor.explain': {
    params: z.strictObject(reference),
    answer: z
      .object({
        image: imageId,
        kept: z.enum(KEEP_REASONS).optional().openapi({ description: 'Absent: nothing needs it' }),
        announcedAtMs: atMs.optional(),
        sweepAfterMs: atMs.optional(),
      })
      .openapi('JanitorExplanation'),
  },
  'janitor.restore': {
    params: z.strictObject(reference),
    answer: z
      .object({ restored: z.boolean().openapi({ description: 'False: it was not announced' }) })
      .openapi('JanitorRestored'),
  },
};
