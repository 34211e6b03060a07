import { isAlive } from '../connect.ts';
import { answer, type Context, isSet } from '../context.ts';
import { readServerFile } from '../environment.ts';

/** Instances may take all of their grace to end. */
const ANSWER_SECONDS = 120;
const GONE_LIMIT_MS = 30_000;
const POLL_MS = 50;

export async function run(context: Context): Promise<number> {
  const instances = !isSet(context.flags, 'keepInstances');
  const server = readServerFile(context.stateDirectory);
  const client = context.client();
  context.progress.begin(instances ? 'stopping instances, routers and the server' : 'stopping the server');
  context.onInterrupt(() => 'the server goes on stopping');
  const down = await client.call(
    'server.down',
    { body: { instances } },
    { signal: context.signal, waitSeconds: ANSWER_SECONDS },
  );
  if (server !== undefined) await untilGone(context, server.pid);
  const what = down.services.length === 0 ? 'the server' : `the server and ${down.services.join(', ')}`;
  context.progress.end('done', `stopped ${what}; images, releases and volumes stay`);
  return answer(context, down, () => undefined);
}

async function untilGone(context: Context, pid: number): Promise<void> {
  const deadlineMs = context.now() + GONE_LIMIT_MS;
  while (isAlive(pid) && context.now() < deadlineMs) await context.sleep(POLL_MS, context.signal);
}
