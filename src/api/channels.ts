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
  })
  .openapi('ChannelMove');

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
