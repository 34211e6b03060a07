import { z } from '@hono/zod-openapi';

/** As AWS Step Functions calls it, so that what answers to it can answer here. */
const taskToken = z.string().min(1).max(1_024).openapi({ description: '`$$.Task.Token` of the task' });
const answer = z.object({});

export const taskTokens = {
  'taskTokens.succeed': {
    body: z.strictObject({ taskToken, output: z.unknown() }).openapi('TaskSuccess'),
    answer,
  },
  'taskTokens.fail': {
    body: z
      .strictObject({
        taskToken,
        error: z.string().max(256).optional(),
        cause: z.string().max(32_768).optional(),
      })
      .openapi('TaskFailure'),
    answer,
  },
  'taskTokens.beat': { body: z.strictObject({ taskToken }).openapi('TaskHeartbeat'), answer },
};
