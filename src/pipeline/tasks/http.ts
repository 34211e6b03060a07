import { z } from 'zod';
import { readAnswer } from '../read-answer.ts';
import { type Task, TaskFailed } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('GET'),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
  timeoutSeconds: z.number().positive().max(3_600).default(60),
});

/** One request → `{status, body}`; a status from 400 up fails with `Http.STATUS`. */
export function http({ fetch }: TaskParts): Task {
  return {
    name: 'http',
    does: 'makes one HTTP request',
    repeat: 'never',
    takesPlace: false,
    async run(call, signal) {
      const { url, method, headers, body, timeoutSeconds } = argumentsOf(shape, call);
      const hasBody = body !== undefined;
      const answer = await fetch(url, {
        method,
        headers: {
          ...(hasBody && { 'content-type': 'application/json' }),
          'idempotency-key': call.key,
          ...headers,
        },
        ...(hasBody && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1_000)]),
        redirect: 'manual',
      });
      const read = await readAnswer(answer);
      if (answer.status >= 400)
        throw new TaskFailed(`Http.${answer.status}`, JSON.stringify(read).slice(0, 2_000));
      return { status: answer.status, body: read };
    },
  };
}
