/**
 * Commands for workers on other machines, which ask for them over the API.
 *
 * MODES of a job:
 *   waiting   for a worker that has all of its labels
 *   offered   in one worker's hands, which has not said that it begins; a silent one loses it, and it waits again
 *   running   begun, and that is stored; a worker that is silent for `SILENT_MS` is taken for dead, and the job ends as
 *             `Kiln.OutcomeUnknown`, since nobody knows how far it came
 *   ended     by its worker's word, by a cancel, or lost
 *
 * INVARIANTS
 *   - Of those that fit, the more urgent is offered first, else in their order.
 *   - A worker runs a job only after `begin` was answered; what it says under another lease than the job's is refused.
 *   - A state's heartbeat is its worker's: once begun, the job beats as often as there was a word of it. Before that the
 *     server itself keeps it, and beats.
 *   - Jobs are in this server's memory: they end with it. Whoever goes on with the execution takes the job for lost only
 *     when its worker has surely ended it.
 */
import { rm } from 'node:fs/promises';
import { KilnError } from '../../domain/errors.ts';
import type { KeptArtifact } from '../../domain/ports/artifacts.ts';
import type { TaskLog, TaskLogs } from '../../domain/ports/task-log.ts';
import type { CommandOutput, CommandWish } from '../commands/command-wish.ts';
import type { Secrets } from '../commands/secret-folder.ts';
import { mayChange, secretValues } from '../commands/secret-values.ts';
import { beatPauseMs, unlessStopped } from '../executor/running-tasks.ts';
import { OUTCOME_UNKNOWN, type TaskCall, TaskFailed } from '../task.ts';
import { type ArrivingPiece, JobFiles, type JobFilesParts } from './job-files.ts';
import { type ArtifactPiece, type JobEnd, jobId, type Offer } from './protocol.ts';

/** A worker that has not been heard for so long has ended by then what it ran, see `job-run.ts`. */
export const SILENT_MS = 15_000;
/** No worker with the labels in so long: there is none. */
export const NO_WORKER_SECONDS = 24 * 3_600;

export interface WorkerJobsParts {
  readonly logs: TaskLogs;
  readonly secrets: Secrets;
  readonly files: JobFilesParts;
  readonly newId: () => string;
  /** Id of this one. */
  readonly server: string;
  /** Another one, where workers are to be found dead sooner. */
  readonly silentMs?: number;
}

interface Job {
  readonly offer: Omit<Offer, 'lease'>;
  readonly labels: readonly string[];
  readonly priority: number;
  readonly log: TaskLog;
  readonly files: JobFiles;
  readonly begins: () => Promise<void>;
  readonly end: (end: JobEnd) => void;
  state: 'waiting' | 'offered' | 'running';
  lease: string;
  worker: string;
  cancelled: boolean;
  /** Since its last beat. */
  heard: boolean;
  silence: NodeJS.Timeout | undefined;
}

interface Asking {
  readonly worker: string;
  readonly labels: readonly string[];
  readonly give: (offer: Offer | undefined) => void;
}

export class WorkerJobs {
  readonly #parts: WorkerJobsParts;
  readonly #silentMs: number;
  /** In the order in which they came. */
  readonly #jobs = new Map<string, Job>();
  readonly #asking = new Set<Asking>();

  constructor(parts: WorkerJobsParts) {
    this.#parts = parts;
    this.#silentMs = parts.silentMs ?? SILENT_MS;
  }

  /** Before the first job: removes what a dead server has left of files on their way. */
  async sweep(): Promise<void> {
    await rm(this.#parts.files.folder, { recursive: true, force: true });
  }

  /** Until a worker has run it, or the signal ends it: then its worker learns of that with its next word. */
  async run(
    wish: CommandWish,
    labels: readonly string[],
    call: TaskCall,
    signal: AbortSignal,
  ): Promise<CommandOutput> {
    const { key, execution, pipeline, request } = call;
    const secrets = await secretValues(wish, call, this.#parts.secrets);
    const texts = Object.values(secrets);
    const log = await this.#parts.logs.open({
      key,
      execution,
      pipeline,
      state: request.state,
      secrets: texts,
    });
    const ended = Promise.withResolvers<JobEnd>();
    const over = new AbortController();
    const files = new JobFiles(this.#parts.files, wish, AbortSignal.any([signal, over.signal]));
    const { state, heartbeatMs } = request;
    const about = { key, execution, pipeline, state, mayChange: mayChange(call) };
    const job: Job = {
      offer: {
        id: jobId(this.#parts.server, this.#parts.newId()),
        ...about,
        wish,
        sourceTravels: files.sourceTravels,
        secretValues: secrets,
        silentMs: this.#silentMs,
        ...(heartbeatMs !== undefined && { heartbeatMs }),
      },
      labels,
      priority: call.priority,
      log,
      files,
      begins: () => unlessStopped(call.begins(), signal),
      end: ended.resolve,
      state: 'waiting',
      lease: '',
      worker: '',
      cancelled: false,
      heard: false,
      silence: undefined,
    };
    this.#jobs.set(job.offer.id, job);
    const limit = setTimeout(() => this.#tooLate(job), NO_WORKER_SECONDS * 1_000);
    limit.unref();
    const beats = heartbeatMs && setInterval(() => beat(job, call), beatPauseMs(heartbeatMs));
    try {
      this.#match();
      const end = await unlessStopped(ended.promise, signal);
      if ('error' in end) throw new TaskFailed(end.error, end.cause);
      return end.output;
    } finally {
      clearTimeout(limit);
      clearInterval(beats);
      clearTimeout(job.silence);
      this.#jobs.delete(job.offer.id);
      over.abort();
      await files.remove().finally(() => log.close());
    }
  }

  /** The next job that fits, or undefined when none has come by then. */
  take(
    worker: string,
    labels: readonly string[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Offer | undefined> {
    const { promise, resolve } = Promise.withResolvers<Offer | undefined>();
    const asking: Asking = { worker, labels, give: resolve };
    const leave = () => resolve(undefined);
    const limit = setTimeout(leave, timeoutMs);
    signal.addEventListener('abort', leave, { once: true });
    this.#asking.add(asking);
    this.#match();
    return promise.finally(() => {
      clearTimeout(limit);
      signal.removeEventListener('abort', leave);
      this.#asking.delete(asking);
    });
  }

  /** From here on it runs. Fails with `input.conflict` when it is another worker's, or nobody wants it any more. */
  async begin(id: string, lease: string): Promise<void> {
    const job = this.#held(id, lease);
    if (job.state === 'offered') {
      job.state = 'running';
      this.#listen(job);
      await job.begins();
    }
    this.#held(id, lease);
  }

  /** The worker does not begin it: the next one gets it. */
  release(id: string, lease: string): void {
    const job = this.#held(id, lease);
    if (job.state !== 'offered') return;
    clearTimeout(job.silence);
    job.state = 'waiting';
    this.#match();
  }

  /** Fails with `input.conflict`, as all that a worker says, once the job is to be ended. */
  beat(id: string, lease: string): void {
    this.#heard(id, lease);
  }

  async log(id: string, lease: string, piece: { group?: string; bytes?: Uint8Array }): Promise<void> {
    const job = this.#heard(id, lease);
    if (piece.group !== undefined) await job.log.group(piece.group);
    if (piece.bytes !== undefined) await job.log.write(piece.bytes);
  }

  end(id: string, lease: string, end: JobEnd): void {
    const job = this.#held(id, lease);
    if ('output' in end) job.files.assertKept(end.output.artifacts ?? {});
    job.end(end);
  }

  /** The source that only this server has, packed. */
  source(id: string, lease: string): Promise<KeptArtifact> {
    return this.#heard(id, lease).files.source();
  }

  /** Of the source, or of an artifact that the job names. */
  fetch(
    id: string,
    lease: string,
    { digest, offset }: Pick<ArtifactPiece, 'digest' | 'offset'>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    return this.#heard(id, lease).files.read(digest, offset, signal);
  }

  send(id: string, lease: string, piece: ArrivingPiece): Promise<void> {
    return this.#heard(id, lease).files.write(piece);
  }

  keep(id: string, lease: string, artifact: KeptArtifact): Promise<void> {
    return this.#heard(id, lease).files.keep(artifact);
  }

  /** For `kiln pipeline why`. */
  heldUpBy(key: string): string | undefined {
    for (const { offer, labels, state } of this.#jobs.values()) {
      if (offer.key === key && state !== 'running')
        return `waits for a worker with the labels ${labels.join(', ')}`;
    }
    return undefined;
  }

  #match(): void {
    const waiting = [...this.#jobs.values()].filter(({ state }) => state === 'waiting');
    for (const job of waiting.toSorted((one, other) => other.priority - one.priority)) {
      const asking = [...this.#asking].find(({ labels }) => job.labels.every((one) => labels.includes(one)));
      if (asking === undefined) continue;
      this.#asking.delete(asking);
      job.state = 'offered';
      job.worker = asking.worker;
      job.lease = this.#parts.newId();
      this.#listen(job);
      asking.give({ ...job.offer, lease: job.lease });
    }
  }

  #held(id: string, lease: string): Job {
    const job = this.#jobs.get(id);
    if (job !== undefined && job.lease === lease && job.state !== 'waiting') return job;
    throw new KilnError('input.conflict', `The job ${id} is not this worker's any more.`, {
      next: 'End what runs of it, and ask for another one.',
    });
  }

  #heard(id: string, lease: string): Job {
    const job = this.#held(id, lease);
    this.#listen(job);
    return job;
  }

  #listen(job: Job): void {
    job.heard = true;
    clearTimeout(job.silence);
    job.silence = setTimeout(() => this.#silent(job), this.#silentMs);
    job.silence.unref();
  }

  #tooLate({ state, labels, end }: Job): void {
    if (state === 'running') return;
    end({
      error: 'Cmd.NoWorker',
      cause: `No worker with the labels ${labels.join(', ')} came within a day.`,
    });
  }

  #silent(job: Job): void {
    if (job.state === 'offered') {
      job.state = 'waiting';
      this.#match();
      return;
    }
    const { state } = job.offer;
    const cause = `The worker ${job.worker} that ran ${state} is silent; what it has done is not known.`;
    job.end({ error: OUTCOME_UNKNOWN, cause });
  }
}

function beat(job: Job, { beat: say }: TaskCall): void {
  if (job.state === 'running' && !job.heard) return;
  job.heard = false;
  say();
}
