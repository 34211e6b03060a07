/**
 * One program of a command, run to its end with all that it started. In a sandbox it ends as a whole with the server;
 * without one, what a dead server has left is found by its mark when the next one starts.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { KilnError } from '../../domain/errors.ts';
import { endMarked, type Mark, markedProcesses } from '../../processes/marked-processes.ts';

/** Borne by every process of a command. */
export const COMMAND_MARK: Mark = { variable: 'KILN_COMMAND', of: 'a command' };

const WATCH_MS = 500;
const PAGE_BYTES = 4_096;

export interface Program {
  readonly argv: readonly string[];
  readonly directory: string;
  readonly searchPath: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Tells the processes of one command from all others. */
  readonly mark: string;
  /** A file to read from, or to write to, instead of nothing and the log. */
  readonly stdin?: number;
  readonly stdout?: number;
  /** Ended when its processes together take more; 0: no such limit. */
  readonly watchBytes?: number;
}

export interface ProgramEnd {
  readonly exitCode: number;
  readonly tookTooMuch: boolean;
}

/** Resolves once all of its processes have ended and its output has been taken; the signal ends them. */
export async function runProgram(
  program: Program,
  take: (bytes: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<ProgramEnd> {
  signal.throwIfAborted();
  const { argv, directory, searchPath, environment, mark } = program;
  const { stdin = 'ignore', stdout = 'pipe', watchBytes = 0 } = program;
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    cwd: directory,
    detached: true,
    stdio: [stdin, stdout, 'pipe'],
    env: {
      PATH: searchPath,
      LANG: 'C.UTF-8',
      CI: 'true',
      ...environment,
      [COMMAND_MARK.variable]: mark,
    },
  });
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', (cause) => reject(notStarted(file, cause)));
    child.once('exit', (code) => resolve(code ?? 137));
  });
  const outputs = [child.stdout, child.stderr].map((stream) => taken(stream, take));
  const output = Promise.all(outputs);
  output.catch(() => undefined); // Told below; here only so that it is not told too early.
  // What cannot be ended now is tried again below, where it is told.
  const end = () => void endMarked(COMMAND_MARK, mark).catch(() => undefined);
  signal.addEventListener('abort', end, { once: true });
  const watch = new Watch(mark, watchBytes, end);
  try {
    const exitCode = await exited;
    await endMarked(COMMAND_MARK, mark);
    await output;
    signal.throwIfAborted();
    return { exitCode, tookTooMuch: watch.tookTooMuch };
  } finally {
    watch.close();
    signal.removeEventListener('abort', end);
  }
}

/** One piece after the other: what takes them holds the program back. */
async function taken(stream: Readable | null, take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for await (const chunk of stream ?? []) await take(chunk);
}

/** Measures memory where nothing else limits it. */
class Watch {
  tookTooMuch = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(mark: string, limitBytes: number, end: () => void) {
    if (limitBytes > 0) this.#next(mark, limitBytes, end);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #next(mark: string, limitBytes: number, end: () => void): void {
    this.#timer = setTimeout(() => {
      memoryOf(mark)
        .then((bytes) => {
          if (this.#closed) return;
          if (bytes <= limitBytes) return this.#next(mark, limitBytes, end);
          this.tookTooMuch = true;
          end();
        })
        // Nothing could be measured this time: the next look will.
        .catch(() => this.#closed || this.#next(mark, limitBytes, end));
    }, WATCH_MS);
    this.#timer.unref();
  }
}

async function memoryOf(mark: string): Promise<number> {
  let pages = 0;
  for (const pid of await markedProcesses(COMMAND_MARK, mark)) {
    const text = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
    pages += Number(text.split(' ')[1] ?? 0);
  }
  return pages * PAGE_BYTES;
}

function notStarted(file: string, cause: Error): KilnError {
  return new KilnError('tool.missing', `${file} could not be run.`, {
    cause,
    next: `Install ${file} on the machine that runs the task.`,
  });
}
