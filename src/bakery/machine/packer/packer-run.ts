/**
 * Runs Packer to its end. Its output goes to a file, which is followed: Packer outlives whoever reads a pipe only to
 * die of it, and what it has made at a provider it must be able to take down again by itself.
 *
 * However it ends, nothing is left: asked to stop (SIGTERM, which it also gets when Kiln dies) Packer takes down what
 * it has begun, and is given time for that; what then still carries its mark is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { KilnError } from '../../../domain/errors.ts';
import { endMarked, markedProcesses } from '../../../processes/marked-processes.ts';
import { BUILD_MARK } from '../../build-mark.ts';
import { LEFTOVER_WORDS } from '../../leftover-processes.ts';
import { stepTimedOut } from './step-timeout.ts';
import { type PackerEvent, PackerStream, type ReportedArtifact } from './stream.ts';

const FOLLOW_MS = 100;
const PIECE_BYTES = 64 * 1024;
/** Terminating an instance at a provider takes minutes, not seconds. */
const CLEANUP_MS = 10 * 60_000;
/** Packer's own plugins may end a moment after it. */
const LINGER_MS = 3_000;
const TAIL_LINES = 20;

export interface PackerRequest {
  /** After `packer build`. */
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Tells its processes from all others. */
  readonly mark: string;
  /** Written to, from its end on. */
  readonly logFile: string;
  readonly timeoutMs: number;
}

type End =
  | { readonly kind: 'exited'; readonly exitCode: number | null; readonly by: string | null }
  | { readonly kind: 'not-started'; readonly cause: Error }
  | { readonly kind: 'stopped'; readonly why: 'aborted' | 'timed-out' };

/** What all builds have made. Fails with `build.failed`, `build.timeout`, `tool.missing` or `aborted`. */
export async function runPacker(
  request: PackerRequest,
  onEvent: (event: PackerEvent) => void,
  signal: AbortSignal,
): Promise<readonly ReportedArtifact[]> {
  signal.throwIfAborted();
  const events: PackerEvent[] = [];
  const take = (fresh: readonly PackerEvent[]): void => {
    for (const event of fresh) {
      events.push(event);
      onEvent(event);
    }
  };
  const log = await open(request.logFile, 'a+', 0o600);
  let end: End;
  let left: readonly number[] = [];
  try {
    const output = new Output(log, (await log.stat()).size);
    const child = start(request, log.fd);
    end = await waitForEnd(child, request.timeoutMs, async () => take(await output.read()), signal);
    take([...(await output.read()), ...output.end()]);
    left = await stillThere(request.mark);
  } finally {
    await endMarked(BUILD_MARK, request.mark);
    await log.close();
  }
  if (end.kind === 'exited' && end.exitCode === 0 && left.length === 0) {
    return events.filter((event) => event.kind === 'artifact');
  }
  throw failure(request, end, events, signal);
}

function start(request: PackerRequest, output: number): ChildProcess {
  // Set by the thread that starts it, which is the process's first: it fires when Kiln's process ends.
  return spawn('setpriv', ['--pdeathsig', 'TERM', 'packer', 'build', ...request.argv], {
    cwd: request.cwd,
    env: { ...request.environment, [BUILD_MARK.variable]: request.mark },
    stdio: ['ignore', output, output],
    detached: true,
  });
}

class Output {
  readonly #file: Awaited<ReturnType<typeof open>>;
  readonly #stream = new PackerStream();
  readonly #decoder = new StringDecoder('utf8');
  #offset: number;

  constructor(file: Awaited<ReturnType<typeof open>>, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  async read(): Promise<PackerEvent[]> {
    const events: PackerEvent[] = [];
    const piece = Buffer.alloc(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(piece, 0, PIECE_BYTES, this.#offset);
      if (bytesRead === 0) return events;
      this.#offset += bytesRead;
      events.push(...this.#stream.push(this.#decoder.write(piece.subarray(0, bytesRead))));
    }
  }

  end(): PackerEvent[] {
    return this.#stream.end();
  }
}

async function waitForEnd(
  child: ChildProcess,
  timeoutMs: number,
  read: () => Promise<void>,
  signal: AbortSignal,
): Promise<End> {
  let end: End | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (exitCode, by) => {
      end ??= { kind: 'exited', exitCode, by };
      resolve();
    });
    child.once('error', (cause) => {
      end ??= { kind: 'not-started', cause };
      resolve();
    });
  });
  const until = async (deadline: number, stop?: AbortSignal): Promise<void> => {
    while (end === undefined && stop?.aborted !== true && performance.now() < deadline) {
      await Promise.race([ended, sleep(FOLLOW_MS)]);
      await read();
    }
  };
  await until(performance.now() + timeoutMs, signal);
  if (end !== undefined) return end;
  // Packer takes SIGTERM as a wish to clean up; a second one would make it give up.
  child.kill('SIGTERM');
  await until(performance.now() + CLEANUP_MS);
  return { kind: 'stopped', why: signal.aborted ? 'aborted' : 'timed-out' };
}

async function stillThere(mark: string): Promise<readonly number[]> {
  const deadline = performance.now() + LINGER_MS;
  for (;;) {
    const pids = await markedProcesses(BUILD_MARK, mark);
    if (pids.length === 0 || performance.now() > deadline) return pids;
    await sleep(FOLLOW_MS);
  }
}

function failure(
  request: PackerRequest,
  end: End,
  events: readonly PackerEvent[],
  signal: AbortSignal,
): KilnError {
  const details = { log: request.logFile };
  const tail = events.flatMap((event) => (event.kind === 'said' ? [event.text] : [])).slice(-TAIL_LINES);
  const wrong = events.flatMap((event) => (event.kind === 'error' ? [`${event.build}: ${event.text}`] : []));
  const said = `${[...wrong, ...tail].join('\n')}${orphans(events)}`;
  if (end.kind === 'not-started') {
    return new KilnError('tool.missing', 'Packer could not be started.', {
      cause: end.cause,
      next: 'Install the Debian packages packer and util-linux.',
    });
  }
  if (end.kind === 'stopped' && end.why === 'aborted') {
    return new KilnError('aborted', 'The build was cancelled while Packer ran.', {
      cause: signal.reason,
      details,
    });
  }
  if (end.kind === 'stopped') {
    return new KilnError(
      'build.timeout',
      `Packer was not done within ${request.timeoutMs / 1000} s. ${said}`,
      {
        details,
        next: 'See where it hung in the log that is named under log.',
      },
    );
  }
  if (end.exitCode === 0) {
    return new KilnError(
      'build.failed',
      'Processes were left running by provisioning, so there is no image.',
      {
        details,
        next: 'End what the last steps start, or start it at boot.',
      },
    );
  }
  if (stepTimedOut(events)) {
    return new KilnError('build.timeout', `A step was not done within its limit. ${said}`, {
      details,
      next: 'Make it faster, or give the step a longer timeout in kiln.yaml.',
    });
  }
  if (tail.some((line) => line.includes(LEFTOVER_WORDS))) {
    return new KilnError('build.failed', `Processes were left running, so there is no image. ${said}`, {
      details,
      next: 'End what the steps start, or start it at boot.',
    });
  }
  const how = end.exitCode === null ? `was ended by ${end.by}` : `failed with exit code ${end.exitCode}`;
  return new KilnError('build.failed', `Packer ${how}. ${said}`, {
    details,
    next: 'Correct what it names; the whole log is in the file named under log.',
  });
}

/** Packer keeps what its other builds have made; a person must know. */
function orphans(events: readonly PackerEvent[]): string {
  const made = events.flatMap((event) =>
    event.kind === 'artifact' && event.files.length === 0 ? [event.id] : [],
  );
  return made.length === 0 ? '' : `\nMade before that, and in no image: ${made.join(', ')}.`;
}
