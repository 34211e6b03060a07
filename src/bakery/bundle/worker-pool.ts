/**
 * A few threads for work that is synchronous by design: looking at, reading and writing many small files.
 * Threads start when there is work, never keep the process alive, and end some time after the last task.
 */
import { Worker } from 'node:worker_threads';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { StopFlag, Task, TaskFailure, TaskMessage, TaskResults } from './tasks.ts';

interface Job {
  readonly task: Task;
  readonly stop: StopFlag;
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

type Answer = TaskFailure | { readonly result: TaskResults[keyof TaskResults] };

export interface WorkerPoolOptions {
  /** Absolute path of the entry file of the threads. */
  readonly workerEntry: string;
  readonly threads: number;
  /** Threads end after this long without work. */
  readonly idleMs: number;
}

export class WorkerPool {
  readonly threads: number;
  readonly #options: WorkerPoolOptions;
  readonly #waiting: Job[] = [];
  readonly #idle: Worker[] = [];
  readonly #busy = new Map<Worker, Job>();
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WorkerPoolOptions) {
    this.threads = Math.max(1, options.threads);
    this.#options = options;
  }

  run<Kind extends Task['kind']>(
    task: Extract<Task, { kind: Kind }>,
    signal: AbortSignal,
  ): Promise<TaskResults[Kind]> {
    if (this.#closed) return Promise.reject(new KilnError('aborted', 'The bakery is closed.'));
    if (signal.aborted) return Promise.reject(asAborted(signal));
    const stop: StopFlag = new Int32Array(new SharedArrayBuffer(4));
    const onAbort = (): void => void Atomics.store(stop, 0, 1);
    signal.addEventListener('abort', onAbort, { once: true });
    const done = new Promise<TaskResults[Kind]>((resolve, reject) => {
      this.#waiting.push({ task, stop, resolve, reject });
      this.#assign();
    });
    return done.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Ends the threads; tasks under way fail as aborted. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    for (const job of this.#waiting.splice(0)) job.reject(new KilnError('aborted', 'The bakery was closed.'));
    for (const job of this.#busy.values()) Atomics.store(job.stop, 0, 1);
    await Promise.all([...this.#idle.splice(0), ...this.#busy.keys()].map((worker) => worker.terminate()));
  }

  #assign(): void {
    clearTimeout(this.#idleTimer);
    while (this.#waiting.length > 0) {
      const worker = this.#idle.pop() ?? (this.#busy.size < this.threads ? this.#startThread() : undefined);
      if (worker === undefined) return;
      const job = this.#waiting.shift();
      if (job === undefined) return;
      this.#busy.set(worker, job);
      worker.ref();
      worker.postMessage({ task: job.task, stop: job.stop } satisfies TaskMessage);
    }
  }

  #startThread(): Worker {
    const worker = new Worker(this.#options.workerEntry, { name: 'kiln-bake', stdout: false, stderr: false });
    worker.on('message', (answer: Answer) => this.#answered(worker, answer));
    worker.on('error', (error) => this.#lost(worker, error));
    worker.on('exit', () => this.#lost(worker, new KilnError('aborted', 'A packing thread ended.')));
    return worker;
  }

  #answered(worker: Worker, answer: Answer): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    worker.unref();
    this.#idle.push(worker);
    if (job !== undefined) {
      if ('failed' in answer) job.reject(asError(answer));
      // The worker answers each task with the result of its kind; `run` ties the two together.
      else job.resolve(answer.result as never);
    }
    this.#assign();
    if (this.#busy.size === 0) this.#endIdleThreadsLater();
  }

  #lost(worker: Worker, error: unknown): void {
    const job = this.#busy.get(worker);
    this.#busy.delete(worker);
    const at = this.#idle.indexOf(worker);
    if (at !== -1) this.#idle.splice(at, 1);
    job?.reject(asKilnError(error));
    if (!this.#closed) this.#assign();
  }

  #endIdleThreadsLater(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      for (const worker of this.#idle.splice(0)) void worker.terminate();
    }, this.#options.idleMs).unref();
  }
}

function asError({ failed }: TaskFailure): Error {
  const options = failed.next === undefined ? {} : { next: failed.next };
  if (failed.code !== undefined) {
    return new KilnError(failed.code, failed.message, {
      ...options,
      retryable: failed.code === 'source.changed',
    });
  }
  const error = new Error(failed.message);
  return failed.systemCode === undefined
    ? error
    : asKilnError(Object.assign(error, { code: failed.systemCode }));
}

function asAborted(signal: AbortSignal): KilnError {
  return new KilnError('aborted', 'The bake was cancelled.', { cause: signal.reason });
}
