/** Runs one command of a root filesystem's build to its end; whatever it leaves is ended with it. */
import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../../../domain/errors.ts';
import { endMarked } from '../../../processes/marked-processes.ts';
import { BUILD_MARK } from '../../build-mark.ts';
import { LogFollower } from '../../bundle/log-follower.ts';

const FOLLOW_MS = 50;
const TAIL_LINES = 200;

export interface CommandRequest {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Tells its processes from all others. */
  readonly mark: string;
  readonly logFile: string;
}

export interface CommandResult {
  readonly exitCode: number;
  /** The last lines of its output. */
  readonly tail: readonly string[];
}

/** Fails with `timeout`, `aborted`, or `tool.missing` when the program is not there. */
export async function runToEnd(
  request: CommandRequest,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<CommandResult> {
  signal.throwIfAborted();
  const log = await open(request.logFile, 'a', 0o600);
  try {
    const follower = new LogFollower(request.logFile, TAIL_LINES, onLine);
    await follower.skipToEnd();
    const exitCode = await spawned(request, log.fd, follower, signal);
    await follower.read();
    follower.finish();
    return { exitCode, tail: follower.tail };
  } finally {
    await endMarked(BUILD_MARK, request.mark);
    await log.close();
  }
}

async function spawned(
  request: CommandRequest,
  output: number,
  follower: LogFollower,
  signal: AbortSignal,
): Promise<number> {
  const [program = '', ...argv] = request.argv;
  const child = spawn(program, argv, {
    env: { ...request.environment, [BUILD_MARK.variable]: request.mark },
    stdio: ['ignore', output, output],
    detached: true,
  });
  let exitCode: number | undefined;
  let failed: Error | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code) => {
      exitCode = code ?? 137;
      resolve();
    });
    child.once('error', (error) => {
      failed = error;
      resolve();
    });
  });
  const deadline = performance.now() + request.timeoutMs;
  while (exitCode === undefined && failed === undefined) {
    await Promise.race([ended, sleep(FOLLOW_MS)]);
    await follower.read();
    if (exitCode !== undefined || failed !== undefined) break;
    if (!signal.aborted && performance.now() < deadline) continue;
    child.kill('SIGKILL');
    await ended;
    signal.throwIfAborted();
    throw new KilnError('timeout', `It was not done within ${request.timeoutMs / 1000} s.`);
  }
  if (failed !== undefined) {
    throw new KilnError('tool.missing', `${program} could not be started: ${failed.message}`, {
      cause: failed,
      next: 'Install the Debian packages util-linux, mmdebstrap and bubblewrap.',
    });
  }
  return exitCode ?? 137;
}
