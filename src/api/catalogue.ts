import { z } from '@hono/zod-openapi';
import {
  atMs,
  channelNameText,
  componentNameText,
  digestText,
  imageId,
  imageReferenceText,
} from './names.ts';

const relative = z
  .object({
    id: imageId,
    component: componentNameText,
    version: z.string(),
    parent: imageId.optional(),
    base: z.string().optional().openapi({ description: '`component@channel` that it was baked from' }),
    channels: z.array(channelNameText),
    revoked: z.boolean(),
    outdated: z.boolean(),
    follows: z.boolean().openapi({ description: 'True: it is baked again when its base moves on' }),
    createdAtMs: atMs,
  })
  .openapi('Relative');

export const differenceView = z
  .object({ key: z.string(), from: z.string().optional(), to: z.string().optional() })
  .openapi('Difference');

export const fileChangeView = z
  .object({ path: z.string(), change: z.enum(['added', 'removed', 'content', 'mode', 'kind']) })
  .openapi('FileChange');

const reference = { reference: imageReferenceText };

const outputOf = <Value extends z.ZodType>(value: Value) =>
  z.object({ value, type: z.union([z.literal('string'), z.array(z.string())]) });
const textOutput = outputOf(z.union([z.string(), z.record(z.string(), z.string())]));

export const catalogue = {
  'terraform.state': {
    query: z.strictObject({
      query: z.string().min(1).max(2000).openapi({
        description: 'In the query language of the catalogue; the first image that fits is meant',
        example: 'precise:golden arch=amd64 region=us-east-1',
      }),
    }),
    answer: z
      .object({
        version: z.literal(4),
        terraform_version: z.string(),
        serial: z.int(),
        lineage: z.string(),
        outputs: z.record(z.string(), textOutput),
        resources: z.array(z.object({})).openapi({ description: 'None' }),
      })
      .openapi('TerraformState'),
  },
  'images.lineage': {
    params: z.strictObject(reference),
    answer: z
      .object({
        image: relative,
        ancestors: z.array(relative).openapi({ description: 'Its base first, then the base of that' }),
        descendants: z.array(z.object({ image: relative, depth: z.int() })),
        cut: z.boolean().openapi({ description: 'True: there are more descendants' }),
      })
      .openapi('Lineage'),
  },
  'images.diff': {
    params: z.strictObject(reference),
    query: z.strictObject({ with: imageReferenceText }),
    answer: z
      .object({
        from: relative,
        to: relative,
        sizeBytes: z.object({ from: z.int(), to: z.int() }),
        tags: z.array(differenceView),
        files: z
          .object({
            count: z.int(),
            items: z.array(fileChangeView),
          })
          .optional()
          .openapi({ description: 'Of bundles that this Kiln keeps; the first thousand' }),
        packages: z.array(differenceView).optional().openapi({ description: 'Where both have an SBOM' }),
      })
      .openapi('ImageDiff'),
  },
  'images.verify': {
    body: z
      .strictObject({
        query: z.string().max(2000).optional(),
        limit: z.int().min(1).max(200).default(20),
        cursor: z.string().max(500).optional(),
      })
      .openapi('VerifyRequest'),
    answer: z
      .object({
        images: z.int(),
        blobs: z.int(),
        faults: z.array(
          z.object({
            image: imageId,
            component: componentNameText,
            version: z.string(),
            digest: digestText,
            code: z.enum(['blob.missing', 'blob.damaged']),
            message: z.string(),
          }),
        ),
        cursor: z.string().optional().openapi({ description: 'Pass it to verify the next ones' }),
      })
      .openapi('Verified'),
  },
};
