/** A worker: asks a server for commands that fit its labels, and runs so many of them at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { Commands } from '../commands/commands.ts';
import { runJob, type WorkerHost } from './job-run.ts';
import type { Offer, WorkerServer } from './protocol.ts';

const WAIT_SECONDS = 20;
const RETRY_MS = 1_000;
/** No better the next time, whoever asks. */
const HOPELESS: ReadonlySet<string> = new Set([
  'input.invalid',
  'auth.missing',
  'auth.denied',
  'auth.expired',
  'auth.origin',
  'server.protocol',
  'worker.protocol',
]);

export interface WorkerParts {
  readonly server: WorkerServer;
  readonly host: WorkerHost;
  /** Jobs at once. */
  readonly slots: number;
  readonly say: (text: string) => void;
}

export class Worker {
  readonly #parts: WorkerParts;
  readonly #running = new Set<string>();
  /** What was said last of the server, by all slots. */
  #said: string | undefined;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Jobs that are being run, for people. */
  get running(): readonly string[] {
    return [...this.#running];
  }

  /**
   * Until `stop` comes: then no job is begun any more, and it resolves when those that run have ended. Fails, once they
   * have, where asking again is no use: a token or labels that are refused, another version of the server.
   */
  async work(stop: AbortSignal): Promise<void> {
    const { host, slots } = this.#parts;
    await new Commands({ ...host, secrets: noSecrets, logs: noLogs }).sweep();
    const failed = new AbortController();
    const either = AbortSignal.any([stop, failed.signal]);
    const ends = await Promise.allSettled(
      Array.from({ length: slots }, () =>
        this.#slot(either).catch((thrown: unknown) => {
          failed.abort();
          throw thrown;
        }),
      ),
    );
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async #slot(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      try {
        const offer = await this.#offered(stop);
        if (offer !== undefined) await this.#run(offer, stop);
      } catch (thrown) {
        const { code, message, retryable } = asKilnError(thrown);
        if (HOPELESS.has(code) && !retryable) throw thrown;
        if (stop.aborted) return;
        this.#saySoOnce(`${message} Trying again.`);
        await sleep(RETRY_MS, undefined, { signal: stop }).catch(() => undefined); // The end wakes it.
      }
    }
  }

  /** The first question is answered at once: then it is known that there is a server, and that it knows this worker. */
  async #offered(stop: AbortSignal): Promise<Offer | undefined> {
    const ready = 'ready: the server answers';
    const offer = await this.#parts.server.take(this.#said === ready ? WAIT_SECONDS : 0, stop);
    this.#saySoOnce(ready);
    return offer;
  }

  async #run(offer: Offer, stop: AbortSignal): Promise<void> {
    const { server, host, say } = this.#parts;
    const job = `${offer.pipeline}: ${offer.state} (${offer.execution})`;
    if (stop.aborted) {
      await server.release(offer, AbortSignal.timeout(RETRY_MS));
      say(`${job} is handed back`);
      return;
    }
    this.#running.add(job);
    say(`${job} begins`);
    try {
      say(`${job} ${await runJob(server, host, offer)}`);
    } catch (thrown) {
      say(`${job} is not run here: ${asKilnError(thrown).message}`);
    } finally {
      this.#running.delete(job);
    }
  }

  #saySoOnce(text: string): void {
    if (this.#said !== text) this.#parts.say(text);
    this.#said = text;
  }
}

const noSecrets = {
  read: (name: string) => Promise.reject(new KilnError('not-found', `There is no secret ${name} here.`)),
};
const noLogs = {
  open: () => Promise.reject(new KilnError('internal', 'A worker that only sweeps writes no log.')),
};
