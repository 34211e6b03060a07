/**
 * Giving the listening socket to a successor. Passing the socket loses no connection: both may accept on it at
 * once, and what waits in its queue waits for whichever accepts next.
 *
 *   start successor → ready → give tables and health → prepared → give socket → listening
 *                   → leave control → take it → in-control
 *
 * The socket comes last, when there is nothing left to wait for: a process that has it accepts on it from that
 * moment on. Until `listening` nothing has changed here; when anything fails, the successor is ended and all stays
 * as it was.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { KilnError } from '../../domain/errors.ts';
import { type LaunchArguments, launchArguments, launchEnvironment } from './launch.ts';
import { type Handover, type SuccessorMessage, successorMessageSchema } from './protocol.ts';

export interface Successor extends LaunchArguments {
  readonly nodePath: string;
}

export interface HandedOver {
  readonly handover: Handover;
  readonly server: Server;
  leaveControl(): void;
}

const STEP_TIMEOUT_MS = 10_000;

export async function handOver(successor: Successor, given: HandedOver): Promise<void> {
  const child = spawn(successor.nodePath, launchArguments(successor), {
    detached: true,
    cwd: successor.stateDirectory,
    env: launchEnvironment(),
    // Our own output is the append-only log.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    await heard(child, 'ready');
    await sent(child, given.handover);
    await heard(child, 'prepared');
    await sent(child, { kind: 'listener' }, given.server);
    await heard(child, 'listening');
    given.leaveControl();
    await sent(child, { kind: 'take-control' });
    await heard(child, 'in-control');
  } catch (thrown) {
    child.kill('SIGKILL');
    throw new KilnError('router.rejected', 'The new router did not take over; the running one goes on.', {
      cause: thrown,
      next: 'See router.log in the router’s state directory.',
      retryable: true,
    });
  }
  child.disconnect();
  child.unref();
}

async function heard(child: ChildProcess, kind: SuccessorMessage['kind']): Promise<void> {
  const waiting = new AbortController();
  const signal = AbortSignal.any([waiting.signal, AbortSignal.timeout(STEP_TIMEOUT_MS)]);
  try {
    const [message] = await Promise.race([once(child, 'message', { signal }), ended(child, signal)]);
    const said = successorMessageSchema.parse(message).kind;
    if (said !== kind) throw new Error(`the successor said "${said}" where "${kind}" was expected`);
  } finally {
    waiting.abort();
  }
}

async function ended(child: ChildProcess, signal: AbortSignal): Promise<never> {
  const [code] = await once(child, 'exit', { signal });
  throw new Error(`the successor ended with ${String(code)}`);
}

function sent(child: ChildProcess, message: object, server?: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    child.send(message, server, {}, (error) => (error === null ? resolve() : reject(error)));
  });
}
