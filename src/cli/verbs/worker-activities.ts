/** `kiln worker --activities`: Kiln's tasks for definitions that run on AWS Step Functions. */
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { ActivitiesClient } from '../../pipeline/export/activities-client.ts';
import { serveActivities, type TaskServer } from '../../pipeline/export/activity-worker.ts';
import { activityArn } from '../../pipeline/export/aws-definition.ts';
import { type Context, numberFlag } from '../context.ts';
import { awsPlace } from './aws-place.ts';

const BEAT_SECONDS = 15;

export async function runActivities(
  context: Context,
  tasks: readonly string[],
  name: string,
): Promise<number> {
  const { env, flags, signal, terminal } = context;
  const place = awsPlace(context);
  const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_SESSION_TOKEN: token } = env;
  if (!accessKey || !secretKey) {
    throw new KilnError('auth.missing', 'There are no credentials for AWS.', {
      next: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where there is one.',
    });
  }
  const endpoint =
    env.AWS_ENDPOINT_URL_SFN ?? env.AWS_ENDPOINT_URL ?? `https://states.${place.region}.amazonaws.com`;
  context.onInterrupt(() => 'what runs goes on in the server', EXIT.ok);
  terminal.err(`worker ${name}: activities ${tasks.join(', ')} in ${place.region}`);
  await serveActivities(
    {
      client: new ActivitiesClient({
        endpoint,
        region: place.region,
        credentials: { accessKey, secretKey, ...(token && { token }) },
        fetch,
        now: context.now,
      }),
      server: serverOf(context),
      activities: tasks.map((task) => ({ task, arn: activityArn(task, place) })),
      name,
      slots: numberFlag(flags, 'slots', '--slots') ?? 2,
      beatMs: (numberFlag(flags, 'heartbeat', '--heartbeat') ?? BEAT_SECONDS) * 1_000,
      say: (text) => terminal.err(text),
    },
    signal,
  );
  return EXIT.ok;
}

function serverOf(context: Context): TaskServer {
  const client = context.client();
  return {
    async begin(task, input, key, signal) {
      return (await client.call('executions.runTask', { body: { task, input, key } }, { signal })).id;
    },
    async ended(id, waitMs, signal) {
      const query = { wait: Math.max(1, Math.floor(waitMs / 1_000)) };
      const one = await client.call('executions.get', { params: { id }, query }, { signal });
      return one.endedAtMs === undefined ? undefined : one;
    },
    async cancel(id, signal) {
      try {
        await client.call('executions.cancel', { params: { id } }, { signal });
      } catch (thrown) {
        // It ended just then.
        if (!(thrown instanceof KilnError && thrown.code === 'input.conflict')) throw thrown;
      }
    },
  };
}
