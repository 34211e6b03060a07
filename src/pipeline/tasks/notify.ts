import { z } from 'zod';
import { type Task, TaskFailed } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  webhook: z.url({ protocol: /^https?$/ }),
  message: z.string().min(1),
  details: z.unknown().optional(),
});
const LIMIT_MS = 30_000;

/** Posts `{text, execution, pipeline, details}` to a webhook, under one key, so that a receiver can tell a repetition. */
export function notify({ fetch }: TaskParts): Task {
  return {
    name: 'notify',
    does: 'posts a message to a webhook',
    repeat: 'same-key',
    takesPlace: false,
    async run(call, signal) {
      const { webhook, message, details } = argumentsOf(shape, call);
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
  };
}
