/** Starts a router as a process of its own, which outlives whoever starts it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../../domain/errors.ts';
import { EXIT_LISTEN_TAKEN, type LaunchArguments, launchArguments, launchEnvironment } from './launch.ts';
import type { Hello } from './protocol.ts';

export const START_TIMEOUT_MS = 15_000;
const POLL_MS = 10;
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

interface RouterStart extends LaunchArguments {
  readonly nodePath: string;
}

/** `running` says hello to the router that runs; undefined: none does. */
type Running = (signal: AbortSignal) => Promise<Hello | undefined>;

export async function startRouterProcess(
  options: RouterStart,
  signal: AbortSignal,
  running: Running,
): Promise<Hello> {
  const { nodePath, stateDirectory } = options;
  const output = await openLog(path.join(stateDirectory, 'router.log'));
  try {
    const child = spawn(nodePath, launchArguments(options), {
      detached: true,
      cwd: stateDirectory,
      env: launchEnvironment(),
      stdio: ['ignore', output.fd, output.fd],
    });
    child.unref();
    return await untilUp(child, options, signal, running);
  } finally {
    await output.close();
  }
}

/** Another starter may win the race for the port: theirs is as good as ours. */
async function untilUp(
  child: ChildProcess,
  options: RouterStart,
  signal: AbortSignal,
  running: Running,
): Promise<Hello> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
  let failure: Error | undefined;
  child.on('error', (error) => {
    failure = error;
  });
  for (;;) {
    const hasEnded = child.exitCode !== null || child.signalCode !== null || failure !== undefined;
    const hello = await running(deadline);
    if (hello !== undefined) return hello;
    if (hasEnded) throw didNotStart(child, options, failure);
    await sleep(POLL_MS, undefined, { signal: deadline });
  }
}

function didNotStart(child: ChildProcess, options: RouterStart, failure: Error | undefined): KilnError {
  const { host, port } = options.listen;
  if (child.exitCode === EXIT_LISTEN_TAKEN) {
    return new KilnError('listen.taken', `Another process listens on ${host}:${port}.`, {
      next: 'Stop that process, or choose another address for the router.',
    });
  }
  return new KilnError('router.unreachable', `The router did not start on ${host}:${port}.`, {
    next: `Read ${path.join(options.stateDirectory, 'router.log')}.`,
    ...(failure === undefined ? {} : { cause: failure }),
  });
}

/** Append-only; one older file is kept. */
async function openLog(file: string) {
  const sizeBytes = await stat(file).then(
    (found) => found.size,
    () => 0, // not there yet
  );
  if (sizeBytes > LOG_LIMIT_BYTES) await rename(file, `${file}.1`);
  return open(file, 'a', 0o600);
}
