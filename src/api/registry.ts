import { z } from '@hono/zod-openapi';
import { atMs, componentNameText, identifier, imageId, imageReferenceText, waitQuery } from './names.ts';
import { failureView } from './problem.ts';

const registryReferenceText = z
  .string()
  .min(3)
  .max(500)
  .regex(/^[^\s]+$/, { error: 'expected HOST/NAME:TAG or HOST/NAME@sha256:…' })
  .openapi({ example: 'registry.example.com/team/storefront:1.2.0' });

const transferView = z
  .object({
    id: z.string(),
    direction: z.enum(['push', 'pull']),
    state: z.enum(['running', 'pushed', 'pulled', 'unchanged', 'failed', 'cancelled']).openapi({
      description: '`unchanged`: everything was where it should be already',
    }),
    asked: z.string().openapi({ description: 'The place in the registry, as it was asked for' }),
    reference: z
      .string()
      .optional()
      .openapi({ description: 'HOST/NAME@sha256:… of what was moved; it never means anything else' }),
    image: z.object({ id: imageId, component: componentNameText, version: z.string() }).optional(),
    progress: z.object({
      blobs: z.int().openapi({ description: 'Blobs that the image stands on' }),
      bytes: z.int(),
      doneBlobs: z.int().openapi({ description: 'Blobs that are where they should be' }),
      mountedBlobs: z.int().openapi({ description: 'Taken from another repository of the registry' }),
      movedBlobs: z.int().openapi({ description: 'Went over the wire' }),
      movedBytes: z.int().openapi({ description: 'Went over the wire, repetitions included' }),
    }),
    failure: failureView.optional(),
    startedAtMs: atMs,
    startedBy: z.string(),
    endedAtMs: atMs.optional(),
  })
  .openapi('Transfer');

export const registry = {
  'transfers.push': {
    params: z.strictObject({ reference: imageReferenceText }),
    body: z
      .strictObject({
        to: registryReferenceText.openapi({
          description: 'HOST/NAME or HOST/NAME:TAG; the tag is the image’s version otherwise',
        }),
      })
      .openapi('PushRequest'),
    answer: transferView,
  },
  'transfers.pull': {
    body: z
      .strictObject({
        from: registryReferenceText.openapi({ description: 'HOST/NAME:TAG or HOST/NAME@sha256:…' }),
      })
      .openapi('PullRequest'),
    answer: transferView,
  },
  'transfers.get': {
    params: z.strictObject({ id: identifier }),
    query: z.strictObject(waitQuery),
    answer: transferView,
  },
  'transfers.cancel': {
    params: z.strictObject({ id: identifier }),
    answer: transferView,
  },
};
