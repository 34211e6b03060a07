import { z } from 'zod';
import { TaskFailed } from '../task.ts';
import { HOUR, taskVerb } from '../task-verb.ts';

const shape = z.strictObject({
  webhook: z.url({ protocol: /^https?$/, error: 'an address that begins with http:// or https://' }),
  message: z.string('a text').min(1, 'a text'),
  details: z.unknown().optional(),
});
const LIMIT_MS = 30_000;

/** Posts `{text, execution, pipeline, details}` to a webhook, under one key, so that a receiver can tell a repetition. */
export const notify = taskVerb({
  name: 'notify',
  does: 'posts a message to a webhook',
  takes: shape,
  limit: { seconds: HOUR },
  repeat: 'same-key',
  takesPlace: false,
  async run({ fetch }, { webhook, message, details }, call, signal) {
    const { execution, pipeline } = call;
    const answer = await fetch(webhook, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': call.key },
      body: JSON.stringify({ text: message, execution, pipeline, details }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
      redirect: 'manual',
    });
    await answer.body?.cancel();
    if (answer.status >= 300)
      throw new TaskFailed(`Http.${answer.status}`, `The webhook answered ${answer.status}.`);
    return { status: answer.status };
  },
});
