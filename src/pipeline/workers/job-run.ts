/**
 * One job on its worker, from the word that it begins to the word how it ended. When the server says that it is not
 * this worker's any more (cancelled, or taken for dead), what runs of it is ended; and so it is when the server was
 * not reached for most of the time after which it takes the worker for dead: by then nothing of the job runs here.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { type CommandHost, Commands } from '../commands/commands.ts';
import { beatPauseMs } from '../executor/running-tasks.ts';
import { type TaskCall, TaskFailed } from '../task.ts';
import { JobArtifacts, JobSources } from './job-transfers.ts';
import type { JobEnd, Offer, WorkerServer } from './protocol.ts';
import { UploadedLog } from './uploaded-log.ts';

const RETRY_MS = 500;
/** Of the time that a worker may be silent: so often it speaks, and so long it goes on without an answer. */
const BEATS = 5;
const UNHEARD = 0.7;

export type WorkerHost = Omit<CommandHost, 'secrets' | 'logs'>;

/** How it ended, for people. Fails with `input.conflict` for one that was not begun, as it is another worker's. */
export async function runJob(server: WorkerServer, host: WorkerHost, offer: Offer): Promise<string> {
  const lost = new AbortController();
  const contact = new Contact(offer.silentMs);
  await server.begin(offer, lost.signal);
  contact.assertSound();
  const beats = keepBeating(server, offer, contact, lost);
  const { signal } = lost;
  const log = new UploadedLog(server, offer, signal);
  try {
    const artifacts = new JobArtifacts(host.artifacts, server, offer);
    const commands = new Commands({
      ...host,
      artifacts,
      sources: new JobSources(host.sources, artifacts, { server, offer, searchPath: host.searchPath }),
      secrets: { read: async (name) => offer.secretValues[name] ?? '' },
      logs: { open: async () => log },
    });
    const end = await endOf(() => commands.run(offer.wish, callOf(offer), signal));
    return await told(server, offer, end, signal);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    return asKilnError(signal.reason).message;
  } finally {
    lost.abort();
    await beats;
  }
}

/** When the server was heard last: reckoned from when it was asked, which is before it heard of this worker. */
class Contact {
  readonly #silentMs: number;
  #askedMs = performance.now();

  constructor(silentMs: number) {
    this.#silentMs = silentMs;
  }

  heard(askedMs: number): void {
    this.#askedMs = askedMs;
  }

  /** Negative: too long ago. */
  get leftMs(): number {
    return this.#askedMs + this.#silentMs * UNHEARD - performance.now();
  }

  assertSound(): void {
    if (this.leftMs > 0) return;
    throw new KilnError('server.unreachable', 'The server has not been reached for too long.');
  }
}

/** Says that it is at work; the first refusal ends the job here. A server that is away is waited for a while. */
async function keepBeating(
  server: WorkerServer,
  offer: Offer,
  contact: Contact,
  lost: AbortController,
): Promise<void> {
  const { signal } = lost;
  const { silentMs, heartbeatMs = Number.POSITIVE_INFINITY } = offer;
  const pauseMs = Math.min(silentMs / BEATS, beatPauseMs(heartbeatMs));
  for (let waitMs = pauseMs; ; ) {
    await sleep(waitMs, undefined, { signal }).catch(() => undefined); // The end of the job wakes it.
    if (signal.aborted) return;
    const askedMs = performance.now();
    try {
      const limit = AbortSignal.timeout(Math.max(1, Math.min(silentMs / BEATS, contact.leftMs)));
      await server.beat(offer, AbortSignal.any([signal, limit]));
      contact.heard(askedMs);
      waitMs = pauseMs;
    } catch (thrown) {
      waitMs = Math.min(pauseMs, RETRY_MS);
      const { code } = asKilnError(thrown);
      if (code === 'input.conflict') lost.abort(ended('is not wanted any more'));
      else if (contact.leftMs <= 0) lost.abort(ended('was ended: the server cannot be reached'));
    }
  }
}

function ended(how: string): KilnError {
  return new KilnError('aborted', how);
}

/** Again while the job is this worker's: an end that is not told is one that nobody knows. */
async function told(server: WorkerServer, offer: Offer, end: JobEnd, signal: AbortSignal): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await server.end(offer, end, signal);
      return 'error' in end ? `failed: ${end.error}` : 'succeeded';
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, retryable, message } = asKilnError(thrown);
      // Told before, and the answer was lost; or another one has it.
      if (code === 'input.conflict') return 'has ended';
      if (!retryable) return `has ended, and the server does not take that: ${message}`;
      await sleep(RETRY_MS, undefined, { signal });
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
    priority: 0,
    sinceMs: 0,
    again: false,
    begins: () => Promise.resolve(),
    beat: () => undefined,
  };
}
