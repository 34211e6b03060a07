/**
 * Serves Activities with Kiln's tasks. Each is one execution of one task on a Kiln server, begun under the token: so it
 * is durable there, has a log and can be cancelled, and a worker that comes back asks for the same one.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError } from '../../domain/errors.ts';
import type { Json } from '../asl/json.ts';
import { type ActivitiesClient, type ActivityTask, isOver } from './activities-client.ts';

const RETRY_MS = 1_000;

export interface TaskEnd {
  readonly status: string;
  readonly output?: unknown;
  readonly error?: string | undefined;
  readonly cause?: string | undefined;
}

/** A Kiln server that runs single tasks. */
export interface TaskServer {
  /** Once for a key, however often it is asked; the id of its execution. */
  begin(task: string, input: Json, key: string, signal: AbortSignal): Promise<string>;
  /** Undefined: it goes on after so long. */
  ended(execution: string, waitMs: number, signal: AbortSignal): Promise<TaskEnd | undefined>;
  cancel(execution: string, signal: AbortSignal): Promise<void>;
}

export interface ActivityWorkerParts {
  readonly client: ActivitiesClient;
  readonly server: TaskServer;
  readonly activities: readonly { readonly arn: string; readonly task: string }[];
  readonly name: string;
  /** Tasks of each Activity at once. */
  readonly slots: number;
  /** Less than the least HeartbeatSeconds of a definition. */
  readonly beatMs: number;
  readonly say: (text: string) => void;
}

export async function serveActivities(parts: ActivityWorkerParts, signal: AbortSignal): Promise<void> {
  const slots = parts.activities.flatMap((activity) =>
    Array.from({ length: parts.slots }, () => serveOne(parts, activity, signal)),
  );
  await Promise.all(slots);
}

async function serveOne(
  parts: ActivityWorkerParts,
  { arn, task }: ActivityWorkerParts['activities'][number],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const asked = await parts.client.getTask(arn, parts.name, signal);
      if (asked !== undefined) await runTask(parts, task, asked, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      parts.say(`${asKilnError(thrown).message}; trying again`);
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined); // Only the end of the worker wakes it.
    }
  }
}

async function runTask(
  { client, server, beatMs, say }: ActivityWorkerParts,
  task: string,
  { taskToken, input }: ActivityTask,
  signal: AbortSignal,
): Promise<void> {
  const key = createHash('sha256').update(taskToken).digest('hex').slice(0, 32);
  const execution = await begun(server, client, { task, input, key, taskToken }, signal);
  if (execution === undefined) return;
  say(`${task}: ${execution}`);
  for (;;) {
    const end = await server.ended(execution, beatMs, signal);
    if (end !== undefined) {
      await told(client, taskToken, end, signal);
      say(`${task}: ${execution} ${end.status}`);
      return;
    }
    if (await client.beat(taskToken, signal)) continue;
    say(`${task}: ${execution} is not wanted any more`);
    await server.cancel(execution, signal);
    return;
  }
}

/** What Kiln refuses to begin fails at once: nobody waits for a time-out. */
async function begun(
  server: TaskServer,
  client: ActivitiesClient,
  {
    task,
    input,
    key,
    taskToken,
  }: { readonly task: string; readonly input: Json; readonly key: string; readonly taskToken: string },
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await server.begin(task, input, key, signal);
  } catch (thrown) {
    const { code, message, retryable } = asKilnError(thrown);
    if (signal.aborted || retryable) throw thrown;
    await told(client, taskToken, { status: 'FAILED', error: code, cause: message }, signal);
    return undefined;
  }
}

async function told(
  client: ActivitiesClient,
  taskToken: string,
  end: TaskEnd,
  signal: AbortSignal,
): Promise<void> {
  const { status, output = null, error = status, cause = '' } = end;
  for (;;) {
    try {
      // What a server answers is JSON.
      if (status === 'SUCCEEDED') await client.succeed(taskToken, output as Json, signal);
      else await client.fail(taskToken, error, cause, signal);
      return;
    } catch (thrown) {
      // Nobody waits for it any more: there is nobody to tell.
      if (isOver(thrown)) return;
      if (signal.aborted || !asKilnError(thrown).retryable) throw thrown;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
