/**
 * A worker: asks a server for commands that fit its labels, runs them here, and says how they ended. When the server
 * says that a job is not its own any more (cancelled, or taken for dead), or cannot be reached for as long as a job is
 * kept for a silent worker, what runs of it is ended.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { TaskLog } from '../../domain/ports/task-log.ts';
import { type CommandHost, Commands } from '../commands/commands.ts';
import { Masker } from '../logs/masker.ts';
import { beatPauseMs } from '../running-tasks.ts';
import { type TaskCall, TaskFailed } from '../task.ts';
import type { JobEnd, Offer } from './worker-jobs.ts';

const BEAT_MS = 3_000;
const RETRY_MS = 1_000;
const LOG_BYTES = 256 * 1024;
const GATHER_MS = 100;
const TAIL_BYTES = 64 * 1024;

/** What a worker asks of its server. Each fails with `input.conflict` once the job is not the worker's. */
export interface WorkerServer {
  take(signal: AbortSignal): Promise<Offer | undefined>;
  begin(offer: Offer, signal: AbortSignal): Promise<void>;
  beat(offer: Offer, signal: AbortSignal): Promise<void>;
  log(offer: Offer, piece: { group?: string; bytes?: Uint8Array }, signal: AbortSignal): Promise<void>;
  end(offer: Offer, end: JobEnd, signal: AbortSignal): Promise<void>;
  /** Unpacks the source folder of the server into one of the worker. */
  fetchSource(offer: Offer, folder: string, signal: AbortSignal): Promise<void>;
}

export interface WorkerParts {
  readonly server: WorkerServer;
  readonly host: Omit<CommandHost, 'secrets' | 'logs'>;
  /** Jobs at once. */
  readonly slots: number;
  readonly say: (text: string) => void;
}

/** Until the signal comes: then what runs is ended. */
export async function work(parts: WorkerParts, signal: AbortSignal): Promise<void> {
  const { host } = parts;
  await new Commands({ ...host, secrets: noSecrets, logs: noLogs }).sweep();
  await Promise.all(Array.from({ length: parts.slots }, () => oneSlot(parts, signal)));
}

async function oneSlot(parts: WorkerParts, signal: AbortSignal): Promise<void> {
  const { server, say } = parts;
  while (!signal.aborted) {
    let offer: Offer | undefined;
    try {
      offer = await server.take(signal);
      if (offer !== undefined) await runJob(parts, offer, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message } = asKilnError(thrown);
      // What it asks for will be no better the next time.
      if (offer === undefined && code === 'input.invalid') throw thrown;
      say(`${message}; trying again`);
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined); // Only the end of the worker wakes it.
    }
  }
}

async function runJob({ server, host, say }: WorkerParts, offer: Offer, signal: AbortSignal): Promise<void> {
  await server.begin(offer, signal);
  say(`${offer.pipeline}: ${offer.state} (${offer.execution})`);
  const lost = new AbortController();
  const either = AbortSignal.any([signal, lost.signal]);
  const beats = keepBeating(server, offer, lost, either);
  const folder = path.join(host.stateDirectory, 'pipelines', 'sources', offer.id);
  const log = new UploadedLog(server, offer, either);
  try {
    const secrets = { read: async (name: string) => offer.secretValues[name] ?? '' };
    const commands = new Commands({ ...host, secrets, logs: { open: async () => log } });
    const isFolder = offer.wish.source?.startsWith('/') && offer.wish.commit === undefined;
    const wish = isFolder ? { ...offer.wish, source: folder } : offer.wish;
    const end = await endOf(async () => {
      if (isFolder) await server.fetchSource(offer, folder, either);
      return commands.run(wish, callOf(offer), either);
    });
    await told(server, offer, end, either);
  } catch (thrown) {
    if (!either.aborted) throw thrown;
  } finally {
    const wasLost = lost.signal.aborted;
    lost.abort();
    await beats;
    await rm(folder, { recursive: true, force: true });
    say(`${offer.pipeline}: ${offer.state} ${wasLost ? 'is not wanted any more' : 'has ended'}`);
  }
}

/** Again while the job is this worker's: an end that is not told is one that nobody knows. */
async function told(server: WorkerServer, offer: Offer, end: JobEnd, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await server.end(offer, end, signal);
      return;
    } catch (thrown) {
      if (signal.aborted || asKilnError(thrown).code === 'input.conflict') return;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined); // Looked for above.
    }
  }
}

async function endOf(run: () => ReturnType<Commands['run']>): Promise<JobEnd> {
  try {
    return { output: await run() };
  } catch (thrown) {
    if (thrown instanceof TaskFailed) return { error: thrown.error, cause: thrown.message };
    const { code, message } = asKilnError(thrown);
    return { error: code, cause: message };
  }
}

/** Says that it is at work; the first refusal ends the job here. A server that is away is waited for a while. */
async function keepBeating(
  server: WorkerServer,
  offer: Offer,
  lost: AbortController,
  signal: AbortSignal,
): Promise<void> {
  const beatMs = Math.min(BEAT_MS, beatPauseMs(offer.heartbeatMs ?? Number.POSITIVE_INFINITY));
  while (!signal.aborted) {
    await sleep(beatMs, undefined, { signal }).catch(() => undefined); // The end of the job wakes it.
    if (signal.aborted) return;
    try {
      await server.beat(offer, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      lost.abort(asKilnError(thrown));
    }
  }
}

function callOf({ key, execution, pipeline, state, mayChange }: Offer): TaskCall {
  return {
    key,
    execution,
    pipeline,
    actor: 'worker',
    rights: { role: mayChange ? 'deployer' : 'viewer', environments: [] },
    request: {
      type: 'runTask',
      task: key,
      state,
      resource: 'cmd',
      arguments: null,
      ends: 'answered',
      attempt: 0,
      timeoutAtMs: 0,
    },
    arguments: null,
    sinceMs: 0,
    again: false,
    begins: () => Promise.resolve(),
    beat: () => undefined,
  };
}

/** Goes to the server in pieces of some size; masked here too, since its end is part of the result. */
class UploadedLog implements TaskLog {
  readonly #server: WorkerServer;
  readonly #offer: Offer;
  readonly #signal: AbortSignal;
  readonly #masker: Masker;
  #tail: Buffer = Buffer.alloc(0);
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sentAtMs = 0;

  constructor(server: WorkerServer, offer: Offer, signal: AbortSignal) {
    this.#server = server;
    this.#offer = offer;
    this.#signal = signal;
    this.#masker = new Masker(Object.values(offer.secretValues));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#keep(this.#masker.push(Buffer.from(bytes)));
  }

  async group(title: string): Promise<void> {
    await this.#flush();
    await this.#server.log(this.#offer, { group: title }, this.#signal);
  }

  async tail(limitBytes: number): Promise<string> {
    await this.#flush();
    return this.#tail.subarray(-limitBytes).toString('utf8');
  }

  close(): Promise<void> {
    return this.#flush();
  }

  async #keep(bytes: Buffer): Promise<void> {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-TAIL_BYTES);
    if (this.#waitingBytes >= LOG_BYTES || performance.now() - this.#sentAtMs > GATHER_MS) await this.#send();
  }

  async #flush(): Promise<void> {
    await this.#keep(this.#masker.end());
    await this.#send();
  }

  async #send(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#sentAtMs = performance.now();
    // A job that is not wanted has no log to write to any more.
    if (bytes.length === 0 || this.#signal.aborted) return;
    for (let at = 0; at < bytes.length; at += LOG_BYTES)
      await this.#server.log(this.#offer, { bytes: bytes.subarray(at, at + LOG_BYTES) }, this.#signal);
  }
}

const noSecrets = {
  read: (name: string) => Promise.reject(new KilnError('not-found', `There is no secret ${name} here.`)),
};
const noLogs = {
  open: () => Promise.reject(new KilnError('internal', 'A worker that only sweeps writes no log.')),
};
