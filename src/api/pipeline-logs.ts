import { z } from '@hono/zod-openapi';
import { ERROR_CODES } from '../domain/errors.ts';
import { atMs, identifier } from './names.ts';

const logGroup = z
  .object({
    title: z.string().openapi({ example: 'npm test' }),
    line: z.int().openapi({ description: 'Its first, counted from 1' }),
    atMs,
  })
  .openapi('LogGroup');

const logFacts = z
  .object({
    task: z.string().openapi({ description: 'Name of the log: of the task in its execution' }),
    server: z.string().openapi({ description: 'Id of the server that has it' }),
    unreadable: z
      .object({ code: z.enum(ERROR_CODES), message: z.string() })
      .optional()
      .openapi({
        description: 'Why that server cannot be asked now; what is known of the log is its beginning',
      }),
    state: z.string(),
    startedAtMs: atMs,
    endedAtMs: atMs.optional(),
    live: z.boolean().openapi({ description: 'It is written now' }),
    lines: z.int(),
    sizeBytes: z.int(),
    lostBytes: z.int().openapi({ description: 'What the disk did not take' }),
    groups: z.array(logGroup).openapi({ description: 'Commands, and what else the task says of its parts' }),
  })
  .openapi('TaskLog');

/** Of a stream: text that stands together, each with the byte after it as its id; then one `end`. */
const logText = z
  .object({
    line: z.int().openapi({ description: 'That the text begins in, counted from 1' }),
    text: z.string(),
    groups: z.array(logGroup).openapi({ description: 'That begin in the text' }),
  })
  .openapi('LogText');

const logLines = z
  .object({
    from: z.int(),
    lines: z.int().openapi({ description: 'Of the whole log' }),
    live: z.boolean(),
    items: z.array(
      z.object({
        text: z.string(),
        cut: z.boolean().openapi({ description: 'It is longer; the text of the log has all of it' }),
      }),
    ),
  })
  .openapi('LogLines');

const params = z.strictObject({ id: identifier, task: identifier });
const server = z
  .string()
  .min(1)
  .max(100)
  .optional()
  .openapi({ description: 'Which server’s, where several have a log of the task; without it the newest' });
const from = z.coerce.number<number>().int().default(1).openapi({
  type: 'integer',
  description: 'Begin at this line, counted from 1, or from the end when it is negative',
});

export const pipelineLogs = {
  'executions.logs': {
    params: z.strictObject({ id: identifier }),
    answer: z.object({ items: z.array(logFacts) }),
  },
  'executions.log': {
    params,
    query: z.strictObject({ server, from, follow: z.enum(['true', 'false']).default('true') }),
    answer: logText,
  },
  'executions.lines': {
    params,
    query: z.strictObject({
      server,
      from,
      limit: z.coerce
        .number<number>()
        .int()
        .min(1)
        .max(2_000)
        .default(200)
        .openapi({ type: 'integer', description: 'At most so many lines' }),
    }),
    answer: logLines,
  },
  'executions.text': {
    params,
    query: z.strictObject({ server }),
    answer: z.string().openapi({ description: 'The whole log, ANSI included' }),
  },
};
