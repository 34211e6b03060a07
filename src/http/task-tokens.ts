/** The other end of `.waitForTaskToken`: how a task ended, said by whoever was given its token. */
import type { Json } from '../pipeline/asl/json.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { starterOf } from './starter.ts';
import { present } from './views.ts';

export function serveTaskTokens(operations: Operations, { taskTokens }: HttpParts): void {
  operations.json('taskTokens.succeed', async ({ body }, caller) => {
    // The schema took it out of JSON.
    const output = (body.output ?? null) as Json;
    await taskTokens.answer(body.taskToken, { output }, starterOf(caller));
    return {};
  });
  operations.json('taskTokens.fail', async ({ body: { taskToken, error, cause } }, caller) => {
    await taskTokens.answer(taskToken, present({ error, cause }), starterOf(caller));
    return {};
  });
  operations.json('taskTokens.beat', async ({ body }, caller) => {
    await taskTokens.answer(body.taskToken, 'heartbeat', starterOf(caller));
    return {};
  });
}
