/** What somebody who decides on a release is shown: see `domain/release-evidence.ts`. */
import { z } from '@hono/zod-openapi';
import { differenceView, fileChangeView } from './catalogue.ts';
import { checkResultView } from './images.ts';
import {
  atMs,
  channelNameText,
  componentNameText,
  environmentNameText,
  imageId,
  releaseNumber,
} from './names.ts';

const unknown = z.object({
  known: z.literal(false),
  why: z.string().openapi({ description: 'Why it could not be found out' }),
});

const asked = z
  .object({ image: z.string(), environment: z.string().optional() })
  .openapi({ description: 'As the approval names them' });

const partOf = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.discriminatedUnion('known', [z.object({ known: z.literal(true), ...shape }), unknown]);

const listOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ count: z.int(), items: z.array(item).openapi({ description: 'The first ones' }) });

const keys = z.array(z.string()).openapi({ description: 'Keys; a value is never shown' });

const replaces = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('unasked') }),
    z.object({ kind: z.literal('nothing'), environment: environmentNameText }),
    z.object({
      kind: z.literal('release'),
      environment: environmentNameText,
      number: releaseNumber,
      image: imageId,
      version: z.string(),
      commit: z.string().optional(),
      sizeBytes: z.int().optional().openapi({ description: 'Absent: its image has been swept' }),
      stopped: z.boolean(),
    }),
  ])
  .openapi({
    description:
      'What runs there now; `nothing`: it would be the first release there; `unasked`: no environment was named',
  });

const scan = z.union([
  z.object({ known: z.literal(true), scanned: z.literal(false) }),
  z.object({
    known: z.literal(true),
    scanned: z.literal(true),
    passed: z.boolean(),
    blocking: listOf(z.string()).openapi({ description: 'What the policy forbids, a line each' }),
    waived: z.int(),
    noted: z.int(),
    atMs,
  }),
  unknown,
]);

export const releaseEvidence = z
  .discriminatedUnion('known', [
    z.object({
      known: z.literal(true),
      asked,
      image: z.object({
        id: imageId,
        component: componentNameText,
        version: z.string(),
        commit: z.string().optional(),
        sizeBytes: z.int(),
        createdAtMs: atMs,
      }),
      channels: z.array(channelNameText).openapi({ description: 'Channels that hold it now' }),
      replaces,
      refused: z
        .string()
        .optional()
        .openapi({ description: 'Why a deployment would be refused as things stand' }),
      tags: z.array(differenceView).optional(),
      inside: partOf({ files: listOf(fileChangeView), packages: listOf(differenceView) })
        .optional()
        .openapi({ description: 'Absent where nothing runs that it could be compared with' }),
      config: partOf({ added: keys, removed: keys, changed: keys, files: z.array(fileChangeView) })
        .optional()
        .openapi({ description: 'Absent where no environment was named' }),
      settings: partOf({ items: z.array(differenceView) })
        .optional()
        .openapi({ description: 'What the release sets besides; absent as `inside` is' }),
      checks: z
        .array(checkResultView)
        .openapi({ description: 'The latest of each kind at each place; none: it was never checked' }),
      scan,
    }),
    unknown.extend({ asked }),
  ])
  .openapi('ReleaseEvidence');
