import { z } from '@hono/zod-openapi';
import { atMs, environmentNameText, environmentPath } from './names.ts';

const pause = z
  .object({ environment: environmentNameText, by: z.string(), why: z.string(), sinceMs: atMs })
  .openapi('Pause');
const params = z.strictObject(environmentPath);

export const pauses = {
  'pauses.list': { answer: z.object({ items: z.array(pause) }) },
  'pauses.pause': {
    params,
    body: z.strictObject({ why: z.string().max(1_000).default('') }).openapi('PauseRequest'),
    answer: pause,
  },
  'pauses.resume': { params, answer: z.object({ resumed: z.boolean() }) },
};
