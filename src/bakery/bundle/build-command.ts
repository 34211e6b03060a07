/**
 * Runs one build command to its end in a clean environment. Its output goes to a file, which is followed for
 * progress. One that leaves a process running has failed, for what that still writes would be in the image or not by
 * chance; the process is ended with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../../domain/errors.ts';
import { endMarked, markedProcesses } from '../../processes/marked-processes.ts';
import { BUILD_MARK } from '../build-mark.ts';
import { LEFTOVER_EXIT_CODE, LEFTOVER_WORDS } from '../leftover-processes.ts';
import {
  type BuildFolders,
  plainCommand,
  type StartedAs,
  sandboxedCommand,
  sandboxWorks,
} from './build-sandbox.ts';
import { LogFollower } from './log-follower.ts';

const FOLLOW_MS = 100;
const TAIL_LINES = 20;
/** For helpers that end by themselves when their tool has ended. */
const LEFTOVER_GRACE_MS = 2_000;
const LEFTOVER_POLL_MS = 50;

export interface BuildHost {
  /** PATH of the commands. */
  readonly searchPath: string;
  /** What the machine needs to reach package registries (proxies, certificates, mirrors); no part of any key. */
  readonly network: Readonly<Record<string, string>>;
  /** Absolute path of bubblewrap, or undefined to do without. */
  readonly bwrap: string | undefined;
}

export interface CommandRequest {
  readonly command: string;
  readonly timeoutMs: number;
  readonly folders: BuildFolders;
  readonly environment: Readonly<Record<string, string>>;
  /** Tells the processes of one bake from all others. */
  readonly mark: string;
  readonly logFile: string;
}

export class BuildCommands {
  readonly #host: BuildHost;
  #sandboxWorks: Promise<boolean> | undefined;

  constructor(host: BuildHost) {
    this.#host = host;
  }

  /** Fails with `build.failed`, `build.timeout` or `aborted`. */
  async run(request: CommandRequest, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const started = await this.#start(request);
    const follower = new LogFollower(request.logFile, TAIL_LINES, onLine);
    await follower.skipToEnd();
    const end = await this.#runToEnd(started, request, follower, signal);
    await follower.read();
    follower.finish();
    if (end.kind === 'exited' && end.exitCode === 0) return;
    throw failure(request, end, follower.tail, signal);
  }

  async #start(request: CommandRequest): Promise<StartedAs> {
    const { bwrap } = this.#host;
    const isRoot = process.getuid?.() === 0;
    for (const folder of [request.folders.home, request.folders.downloads]) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    if (bwrap === undefined) return plainCommand(request.command, request.folders);
    this.#sandboxWorks ??= sandboxWorks(bwrap, request.folders, isRoot);
    return (await this.#sandboxWorks)
      ? sandboxedCommand(bwrap, request.command, request.folders, isRoot)
      : plainCommand(request.command, request.folders);
  }

  async #runToEnd(
    started: StartedAs,
    request: CommandRequest,
    follower: LogFollower,
    signal: AbortSignal,
  ): Promise<CommandEnd> {
    const log = await open(request.logFile, 'a', 0o600);
    try {
      const [file = '/bin/sh', ...rest] = started.argv;
      const child = spawn(file, rest, {
        cwd: request.folders.app,
        env: this.#environment(request, started),
        stdio: ['ignore', log.fd, log.fd],
        // A session of its own: signals of our terminal are not for it.
        detached: true,
      });
      const end = await waitForEnd(child, request.timeoutMs, follower, signal);
      if (end.kind !== 'exited') return end;
      // In a sandbox it was looked from within.
      await follower.read();
      const isSaid = end.exitCode === LEFTOVER_EXIT_CODE && follower.tail.at(-1)?.startsWith(LEFTOVER_WORDS);
      const isLeft = isSaid || (end.exitCode === 0 && (await leavesProcesses(request.mark)));
      return isLeft ? { kind: 'left-running' } : end;
    } finally {
      await endMarked(BUILD_MARK, request.mark);
      await log.close();
    }
  }

  #environment(request: CommandRequest, { folders }: StartedAs): Record<string, string> {
    const downloads = (tool: string): string => path.join(folders.downloads, tool);
    return {
      PATH: this.#host.searchPath,
      LANG: 'C.UTF-8',
      CI: 'true',
      npm_config_cache: downloads('npm'),
      npm_config_update_notifier: 'false',
      YARN_CACHE_FOLDER: downloads('yarn'),
      PIP_CACHE_DIR: downloads('pip'),
      UV_CACHE_DIR: downloads('uv'),
      COMPOSER_CACHE_DIR: downloads('composer'),
      BUNDLE_USER_CACHE: downloads('bundle'),
      GOCACHE: downloads('go-build'),
      GOMODCACHE: downloads('go-mod'),
      ...this.#host.network,
      ...request.environment,
      HOME: folders.home,
      [BUILD_MARK.variable]: request.mark,
    };
  }
}

type CommandEnd =
  | { readonly kind: 'exited'; readonly exitCode: number | null; readonly signal: string | null }
  | { readonly kind: 'left-running' }
  | { readonly kind: 'not-started'; readonly cause: Error }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'aborted' };

async function waitForEnd(
  child: ChildProcess,
  timeoutMs: number,
  follower: LogFollower,
  signal: AbortSignal,
): Promise<CommandEnd> {
  let end: CommandEnd | undefined;
  const ended = new Promise<void>((resolve) => {
    const note = (how: CommandEnd): void => {
      end ??= how;
      resolve();
    };
    child.once('exit', (exitCode, by) => note({ kind: 'exited', exitCode, signal: by }));
    child.once('error', (cause) => note({ kind: 'not-started', cause }));
  });
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const tick = new AbortController();
    const wait = AbortSignal.any([tick.signal, signal]);
    await Promise.race([ended, sleep(FOLLOW_MS, undefined, { signal: wait }).catch(() => undefined)]);
    tick.abort();
    await follower.read();
    if (end !== undefined) return end;
    if (signal.aborted || performance.now() > deadline) break;
  }
  killGroup(child);
  await ended;
  return signal.aborted ? { kind: 'aborted' } : { kind: 'timed-out' };
}

async function leavesProcesses(mark: string): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < LEFTOVER_GRACE_MS; waitedMs += LEFTOVER_POLL_MS) {
    if ((await markedProcesses(BUILD_MARK, mark)).length === 0) return false;
    await sleep(LEFTOVER_POLL_MS);
  }
  return true;
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function failure(
  request: CommandRequest,
  end: CommandEnd,
  tail: readonly string[],
  signal: AbortSignal,
): KilnError {
  const said = tail.length === 0 ? 'It printed nothing.' : `Its last lines:\n${tail.join('\n')}`;
  const details = { command: request.command, log: request.logFile };
  switch (end.kind) {
    case 'aborted':
      return new KilnError('aborted', `The build was cancelled while "${request.command}" ran.`, {
        cause: signal.reason,
      });
    case 'timed-out':
      return new KilnError(
        'build.timeout',
        `The build command "${request.command}" did not end within ${request.timeoutMs / 1000} s. ${said}`,
        { details, next: 'Make it faster, or give the step a longer timeout in kiln.yaml.' },
      );
    case 'left-running':
      return new KilnError(
        'build.failed',
        `The build command "${request.command}" left processes running. ${said}`,
        {
          details,
          next: 'Have it wait for what it starts, or start no daemons (as with gradle --no-daemon).',
        },
      );
    case 'not-started':
      return new KilnError('build.failed', `The build command "${request.command}" could not be started.`, {
        details,
        cause: end.cause,
        next: 'See what the cause says.',
      });
    case 'exited': {
      const how =
        end.exitCode === null ? `was ended by ${end.signal}` : `failed with exit code ${end.exitCode}`;
      return new KilnError('build.failed', `The build command "${request.command}" ${how}. ${said}`, {
        details: { ...details, exitCode: end.exitCode },
        next: 'Correct the command or what it builds; the whole log is in the file named under log.',
      });
    }
  }
}
