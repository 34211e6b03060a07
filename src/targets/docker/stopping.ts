import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import type { StopPolicy } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';

/** SIGKILL cannot be refused; what survives it for so long hangs in the kernel. */
const KILL_MS = 15_000;

/** Asks by each signal in turn for its share of the grace, then kills. Resolves when nothing of it runs. */
export async function stopContainer(
  client: EngineClient,
  containerId: string,
  policy: StopPolicy,
  signal: AbortSignal,
): Promise<void> {
  const gentle = policy.signals.filter((name) => name !== 'SIGKILL');
  for (const name of gentle) {
    if (!(await signalled(client, containerId, name, signal))) return;
    if (await endsWithin(client, containerId, policy.graceMs / gentle.length, signal)) return;
  }
  if (!(await signalled(client, containerId, 'SIGKILL', signal))) return;
  if (await endsWithin(client, containerId, KILL_MS, signal)) return;
  throw new KilnError('target.rejected', `The container ${containerId} did not end though it was killed.`, {
    next: 'Look at the log of the Docker engine: its processes may hang in the kernel.',
    retryable: true,
  });
}

/** False: nothing of it runs. */
async function signalled(
  client: EngineClient,
  containerId: string,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const query = { signal: name };
    await client.send({ method: 'POST', path: `/containers/${containerId}/kill`, query, signal });
    return true;
  } catch (error) {
    if (isRefusal(error, 404) || isRefusal(error, 409)) return false;
    throw error;
  }
}

async function endsWithin(
  client: EngineClient,
  containerId: string,
  limitMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const limit = AbortSignal.timeout(Math.max(1, Math.ceil(limitMs)));
  const query = { condition: 'not-running' };
  try {
    await client.send({
      method: 'POST',
      path: `/containers/${containerId}/wait`,
      query,
      signal: AbortSignal.any([signal, limit]),
    });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) return false;
    if (isRefusal(error, 404)) return true;
    throw error;
  }
}
