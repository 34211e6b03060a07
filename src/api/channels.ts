import { z } from '@hono/zod-openapi';
import { atMs, channelNameText, componentNameText, imageId, imageReferenceText, why } from './names.ts';

const channelMoveView = z
  .object({
    component: componentNameText,
    channel: channelNameText,
    image: imageId,
    version: z.string().openapi({ description: 'Version of that image' }),
    previous: imageId.optional(),
    by: z.string(),
    why: z.string(),
    atMs,
    revoked: z
      .object({ atMs, by: z.string(), why: z.string() })
      .optional()
      .openapi({ description: 'Present when that image is revoked' }),
    evidence: z
      .object({
        checks: z.array(z.string()).openapi({ description: 'Ids of the results that counted' }),
        approvals: z.array(z.object({ by: z.string(), why: z.string(), atMs })),
        earlier: z.object({ channel: channelNameText, heldMs: z.number() }).optional(),
      })
      .optional()
      .openapi({ description: 'What the move was made upon' }),
  })
  .openapi('ChannelMove');

const policyShape = {
  checks: z
    .array(z.string().min(1).max(40))
    .max(20)
    .default([])
    .openapi({
      description: 'Kinds of checks, `scan` among them, that must have passed',
      example: ['smoke', 'scan'],
    }),
  approvals: z
    .int()
    .min(0)
    .max(20)
    .default(0)
    .openapi({ description: 'So many people, other than the one who promotes' }),
  after: z
    .strictObject({ channel: channelNameText, heldMs: z.int().min(0) })
    .optional()
    .openapi({ description: 'The channel must have held the image for so long, without a break' }),
};
const policyView = z.object(policyShape).openapi('ChannelPolicy');

const promotionView = z
  .object({
    moved: z.boolean().openapi({ description: 'False: the channel held the image already' }),
    move: channelMoveView,
  })
  .openapi('Promotion');

const path = { component: componentNameText, channel: channelNameText };

export const channels = {
  'channels.list': {
    query: z.strictObject({ component: componentNameText.optional() }),
    answer: z.object({ items: z.array(channelMoveView) }).openapi('Channels'),
  },
  'channels.history': {
    params: z.strictObject(path),
    answer: z
      .object({ items: z.array(channelMoveView).openapi({ description: 'Newest first' }) })
      .openapi('ChannelHistory'),
  },
  'channels.policy': { params: z.strictObject(path), answer: policyView },
  'channels.setPolicy': {
    params: z.strictObject(path),
    body: z.strictObject(policyShape).openapi('ChannelPolicyRequest'),
    answer: policyView,
  },
  'channels.approve': {
    params: z.strictObject(path),
    body: z.strictObject({ image: imageReferenceText, why }).openapi('ApproveRequest'),
    answer: z
      .object({ approvals: z.array(z.object({ by: z.string(), why: z.string(), atMs })) })
      .openapi('Approvals'),
  },
  'channels.back': {
    params: z.strictObject(path),
    body: z
      .strictObject({
        expected: imageReferenceText
          .optional()
          .openapi({ description: 'Only while the channel holds this image; absent: whatever it holds' }),
        why: why.optional(),
      })
      .openapi('BackRequest'),
    answer: promotionView,
  },
  'channels.promote': {
    params: z.strictObject(path),
    body: z
      .strictObject({
        image: imageReferenceText,
        expected: imageReferenceText.optional().openapi({
          description: 'Move only while the channel holds this image; absent: whatever it holds',
        }),
        why: why.optional(),
      })
      .openapi('PromoteRequest'),
    answer: promotionView,
  },
};
