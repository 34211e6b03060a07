import { z } from '@hono/zod-openapi';
import { IMAGE_STATES } from '../domain/image.ts';
import {
  atMs,
  channelNameText,
  componentNameText,
  deploymentId,
  digestText,
  environmentNameText,
  imageId,
  imageReferenceText,
  pageOf,
  pageQuery,
  releaseNumber,
  tagKey,
  tagValue,
  why,
} from './names.ts';

export const checkResultView = z
  .object({
    id: z.string(),
    kind: z.string().openapi({ description: '`smoke`, `standard` or `in-image`', example: 'smoke' }),
    where: z.string().openapi({ description: 'What was checked', example: 'stage/local' }),
    passed: z.boolean(),
    passedCount: z.int(),
    failedCount: z.int(),
    failures: z.array(z.string()).openapi({
      description: 'First failures, one line each, below it the last lines of a log where there is one',
    }),
    atMs,
  })
  .openapi('CheckResult');

const artifactView = z
  .object({
    kind: z.enum(['bundle', 'container', 'machine']),
    provider: z.string(),
    region: z.string().optional(),
    arch: z.string(),
    digest: digestText
      .optional()
      .openapi({ description: 'Of the OCI manifest, when this Kiln keeps the bytes' }),
    reference: z
      .string()
      .optional()
      .openapi({ description: 'The name that the provider gave, such as an AMI’s id' }),
    sizeBytes: z.int(),
  })
  .openapi('Artifact');

const imageView = z
  .object({
    id: imageId,
    component: componentNameText,
    version: z.string(),
    inputKey: digestText,
    parent: imageId.optional(),
    tags: z.record(z.string(), z.string()).openapi({ description: 'The shipping manifest' }),
    artifacts: z.array(artifactView),
    checks: z.array(checkResultView),
    tested: z.boolean().openapi({ description: 'True when it can be promoted: its state is `tested`' }),
    state: z.enum(IMAGE_STATES).openapi({
      description:
        '`tested`: the latest check of each kind passed, and it never failed a test inside it. `untested`: never checked',
    }),
    channels: z.array(channelNameText).openapi({ description: 'Channels that hold it now' }),
    revoked: z.object({ atMs, by: z.string(), why: z.string() }).optional(),
    outdated: z.boolean().openapi({
      description: 'True: the channel it was baked from holds another image, or its base is outdated',
    }),
    source: z
      .object({
        directory: z.string(),
        host: z.string().openapi({ description: 'Machine of the server that baked it' }),
        commit: z.string().optional().openapi({ description: 'Where the folder held just that commit' }),
        repository: z.string().optional(),
      })
      .optional()
      .openapi({ description: 'What it was baked from' }),
    createdAtMs: atMs,
  })
  .openapi('Image');

const policyView = z
  .object({
    checks: z.array(z.string()),
    approvals: z.int(),
    after: z.object({ channel: channelNameText, heldMs: z.number() }).optional(),
  })
  .openapi('ChannelDemands');

export const images = {
  'images.channels': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: z
      .object({
        image: z.object({ id: imageId, component: componentNameText, version: z.string() }),
        channels: z.array(
          z.object({
            channel: channelNameText,
            holds: imageId.optional(),
            policy: policyView.optional().openapi({ description: 'What the server demands' }),
            own: policyView.optional().openapi({ description: 'What its own kiln.yaml demands beside it' }),
            missing: z
              .array(z.string())
              .openapi({ description: 'What it lacks, were it promoted now by whoever asks' }),
          }),
        ),
      })
      .openapi('ImageChannels'),
  },
  'images.list': {
    query: z.strictObject({
      component: componentNameText.optional(),
      query: z.string().max(2000).optional().openapi({
        description:
          'In the query language of the catalogue; of each image, artifacts that fit it come first',
        example: 'web version>=1.4 arch=amd64 order=-version limit=1',
      }),
      ...pageQuery,
    }),
    answer: pageOf(imageView).openapi('ImagePage'),
  },
  'images.tag': {
    params: z.strictObject({ reference: imageReferenceText }),
    body: z
      .strictObject({
        tags: z
          .record(tagKey, tagValue.nullable())
          .openapi({ description: 'null takes the tag away', example: { expires: 'never', env: null } }),
      })
      .openapi('TagRequest'),
    answer: imageView,
  },
  'images.revoke': {
    params: z.strictObject({ reference: imageReferenceText }),
    body: z
      .strictObject({
        why,
        replace: z.boolean().default(false).openapi({
          description: 'Start the deployment of the last good release wherever a revoked image serves',
        }),
      })
      .openapi('RevokeRequest'),
    answer: z
      .object({
        images: z.array(imageId).openapi({ description: 'Revoked now: it and what was baked from it' }),
        running: z
          .array(
            z.object({
              component: componentNameText,
              environment: environmentNameText,
              group: z.string(),
              release: releaseNumber,
              image: z.string(),
              replacement: releaseNumber.optional(),
              newer: z
                .object({ id: imageId, version: z.string() })
                .optional()
                .openapi({ description: 'Where no release can take its place: the newest image that can' }),
              deployment: deploymentId.optional(),
              refused: z.string().optional().openapi({ description: 'Why its replacement was not started' }),
            }),
          )
          .openapi({ description: 'Every server group that runs a revoked image' }),
      })
      .openapi('Revoked'),
  },
  'images.get': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: imageView,
  },
};
