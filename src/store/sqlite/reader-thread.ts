/**
 * A thread with a read-only connection of its own. It starts with the first read, keeps nobody waiting at exit, and
 * ends after some time without work. One that fails or hangs takes its reads with it, and the next read starts another.
 */
import { Worker } from 'node:worker_threads';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { LongRead, LongReadResults, LongReads } from '../catalogue/long-reads.ts';
import type { ReaderAnswer, ReaderQuestion } from './reader.ts';

const IDLE_MS = 10_000;
const ANSWER_LIMIT_MS = 60_000;
/** Rows come and go: without this the thread keeps a hundred megabytes of them before it looks what is left. */
const YOUNG_MB = 8;

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
  readonly limit: NodeJS.Timeout;
}

export class ReaderThread implements LongReads {
  readonly #entry: string;
  readonly #file: string;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #asked = 0;
  #closed = false;

  /** @param entry absolute path of `reader.ts`, or of what it was built to */
  constructor(entry: string, file: string) {
    this.#entry = entry;
    this.#file = file;
  }

  run<Kind extends LongRead['kind']>(
    read: Extract<LongRead, { kind: Kind }>,
  ): Promise<LongReadResults[Kind]> {
    if (this.#closed) return Promise.reject(new KilnError('aborted', 'The store is closed.'));
    clearTimeout(this.#idle);
    const worker = this.#worker ?? this.#start();
    worker.ref();
    this.#asked += 1;
    const id = this.#asked;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => void worker.terminate(), ANSWER_LIMIT_MS).unref();
      this.#waiting.set(id, { resolve, reject, limit });
      worker.postMessage({ id, read } satisfies ReaderQuestion);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, {
      name: 'kiln-reader',
      workerData: this.#file,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    worker.on('message', (answer: ReaderAnswer) => this.#answered(worker, answer));
    worker.on('error', (error) => this.#lost(worker, asKilnError(error)));
    worker.on('exit', () =>
      this.#lost(
        worker,
        new KilnError('store.busy', 'A read of the catalogue was ended.', { retryable: true }),
      ),
    );
    this.#worker = worker;
    return worker;
  }

  #answered(worker: Worker, answer: ReaderAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    clearTimeout(waiting?.limit);
    if ('failed' in answer) {
      const { code, message, next, retryable } = answer.failed;
      waiting?.reject(new KilnError(code, message, { retryable, ...(next === undefined ? {} : { next }) }));
    } else {
      // The thread answers each read with the result of its kind; `run` ties the two together.
      waiting?.resolve(answer.result as never);
    }
    if (this.#waiting.size > 0) return;
    worker.unref();
    this.#idle = setTimeout(() => {
      if (this.#worker === worker) this.#worker = undefined;
      void worker.terminate();
    }, IDLE_MS).unref();
  }

  #lost(worker: Worker, error: KilnError): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, limit } of lost) {
      clearTimeout(limit);
      reject(error);
    }
  }
}
