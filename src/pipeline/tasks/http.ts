import { z } from 'zod';
import { readAnswer } from '../executor/read-answer.ts';
import { TaskFailed } from '../task.ts';
import { HOUR, MINUTE, taskVerb } from '../task-verb.ts';

const shape = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'an address that begins with http:// or https://' }),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], 'GET, POST, PUT, PATCH or DELETE').default('GET'),
  headers: z.record(z.string(), z.string()).default({}),
  body: z.unknown().optional(),
  timeoutSeconds: z.number('seconds').positive().max(HOUR).default(MINUTE),
});

/** One request → `{status, body}`; a status from 400 up fails with `Http.STATUS`. */
export const http = taskVerb({
  name: 'http',
  does: 'makes one HTTP request',
  takes: shape,
  limit: { seconds: HOUR, argument: { name: 'timeoutSeconds', seconds: MINUTE, mostSeconds: HOUR } },
  repeat: 'never',
  takesPlace: false,
  async run({ fetch }, { url, method, headers, body, timeoutSeconds }, call, signal) {
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
});
