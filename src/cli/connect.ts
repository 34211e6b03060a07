/** The server that this command line speaks to. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '../api/client.ts';
import { type Environment, readServerFile, serverAddress } from './environment.ts';
import { nodeTransport } from './node-transport.ts';

/** As long as a server that is being upgraded may be away: at first, and to whoever follows what it does. */
const PATIENCE_MS = 5_000;
const REACHED_PATIENCE_MS = 30_000;
/** The state directory's server is gone: perhaps its successor is just starting. */
const SHORT_PATIENCE_MS = 1_500;

export function connect(env: Environment, stateDirectory: string): Client {
  return createClient({
    transport: nodeTransport,
    ...serverAddress(env, stateDirectory),
    patienceMs: patience(env, stateDirectory),
    reachedPatienceMs: REACHED_PATIENCE_MS,
    now: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    // Only writes need one, so reads do not wait for the module.
    newKey: () => process.getBuiltinModule('node:crypto').randomUUID(),
  });
}

/** None where no server ever was: then there is nothing to wait for. */
function patience(env: Environment, stateDirectory: string): number {
  if (env.KILN_URL) return PATIENCE_MS;
  const server = readServerFile(stateDirectory);
  if (server === undefined) return 0;
  return isAlive(server.pid) ? PATIENCE_MS : SHORT_PATIENCE_MS;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it is there, and somebody else's.
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}
