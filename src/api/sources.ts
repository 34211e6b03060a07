/** What Kiln watches to start pipelines by itself. */
import { z } from '@hono/zod-openapi';
import { atMs, identifier, pageOf, pageQuery } from './names.ts';

const channel = z.object({ component: z.string(), channel: z.string() });

const triggers = z
  .object({
    push: z
      .object({
        branches: z.array(z.string()),
        tags: z.array(z.string()),
        paths: z.array(z.string()).optional(),
      })
      .optional(),
    pullRequest: z
      .object({ branches: z.array(z.string()), paths: z.array(z.string()).optional(), forks: z.boolean() })
      .optional(),
    schedule: z.array(
      z.object({
        cron: z.string(),
        timeZone: z.string(),
        missed: z.enum(['once', 'skip']),
        nextAtMs: atMs.optional(),
      }),
    ),
    channel: z.array(channel),
    base: z.boolean(),
    pipeline: z.array(z.object({ pipeline: z.string(), status: z.array(z.string()) })),
    onOpen: z.enum(['queue', 'newest']),
  })
  .openapi('Triggers');

const sourceView = z
  .object({
    id: z.string(),
    component: z.string(),
    repository: z.string().optional().openapi({ description: 'Absent: a folder that is used as it is' }),
    folder: z.string().optional(),
    directory: z.string().openapi({ description: 'Of the component in the repository; empty: its root' }),
    branch: z.string(),
    triggers,
    pollSeconds: z.number().optional().openapi({ description: 'Absent: its repository is not looked at' }),
    poll: z
      .object({ atMs, failures: z.int(), failure: z.string().optional() })
      .optional()
      .openapi({ description: 'How this server’s last look went' }),
    createdBy: z.string(),
    createdAtMs: atMs,
  })
  .openapi('Source');

const taken = z
  .object({
    execution: z.string().optional().openapi({
      description: 'That it starts, unless the filters pass it over; absent: told before',
    }),
  })
  .openapi('TakenEvent');

const eventView = z
  .object({
    number: z.int(),
    kind: z.string().openapi({ example: 'push' }),
    event: z.unknown(),
    takenAtMs: atMs,
    outcome: z
      .object({
        kind: z.enum(['started', 'passed-over', 'failed']),
        execution: z.string().optional(),
        why: z.string().optional(),
        code: z.string().optional(),
        message: z.string().optional(),
      })
      .optional()
      .openapi({ description: 'Absent: it is yet to be acted on' }),
  })
  .openapi('TriggerEvent');

const params = z.strictObject({ id: identifier });
const oneLine = z
  .string()
  .min(1)
  .max(1_000)
  .regex(/^[^\0\n]+$/);
const objectName = z.string().regex(/^[0-9a-f]{40,64}$/, { error: 'expected the name of a git object' });

export const sources = {
  'sources.watch': {
    body: z
      .strictObject({
        at: oneLine.openapi({
          description: 'Address of a git repository, or an absolute path on the server’s machine',
          example: 'https://example.com/team/shop.git',
        }),
        directory: oneLine.optional(),
        file: oneLine.optional(),
        branch: oneLine.optional(),
        pollSeconds: z.number().min(1).max(86_400).optional().openapi({
          description: 'Look at the repository this often; absent: never',
        }),
        parameters: z.record(z.string(), z.unknown()).default({}),
      })
      .openapi('WatchRequest'),
    answer: sourceView,
  },
  'sources.list': { answer: z.object({ items: z.array(sourceView) }).openapi('Sources') },
  'sources.remove': { params, answer: z.object({ removed: z.string() }).openapi('RemovedSource') },
  'sources.events': { params, query: z.strictObject(pageQuery), answer: pageOf(eventView) },
  'sources.start': {
    params,
    body: z
      .strictObject({
        at: oneLine.optional().openapi({ description: 'Branch, tag or commit; absent: the source’s branch' }),
        parameters: z.record(z.string(), z.unknown()).default({}),
      })
      .openapi('SourceStart'),
    answer: taken,
  },
  'sources.pushed': {
    params,
    body: z
      .strictObject({
        moves: z
          .array(
            z.strictObject({
              before: objectName,
              after: objectName,
              ref: z.string().regex(/^refs\/[^\s\0]{1,500}$/, { error: 'expected a ref' }),
            }),
          )
          .min(1)
          .max(1_000),
        sender: z.string().max(200).optional(),
      })
      .openapi('Pushed'),
    answer: z.object({ items: z.array(taken) }).openapi('TakenEvents'),
  },
};
