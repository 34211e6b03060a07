/**
 * Lets readers wait for the next revision. Three things move it on: a commit of this process
 * (known at once), a word from the engine that others may have committed (`poke`), and the
 * read that each new waiter causes, which closes the gap between its last look and its wait.
 */
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';

interface Waiter {
  readonly after: Revision;
  readonly resolve: (revision: Revision) => void;
  readonly reject: (reason: unknown) => void;
}

export class RevisionWatch {
  readonly #readRevision: () => Promise<Revision>;
  readonly #waiters = new Set<Waiter>();
  #newest: Revision = 0;
  #reading = false;
  #readAgain = false;
  #closed = false;

  constructor(readRevision: () => Promise<Revision>) {
    this.#readRevision = readRevision;
  }

  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(closedError());
    if (this.#newest > revision) return Promise.resolve(this.#newest);
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
        act();
      };
      const onAbort = () => settle(() => reject(signal.reason));
      const waiter: Waiter = {
        after: revision,
        resolve: (newest) => settle(() => resolve(newest)),
        reject: (reason) => settle(() => reject(reason)),
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.add(waiter);
      this.poke();
    });
  }

  /** This revision is committed. */
  advance(revision: Revision): void {
    if (revision <= this.#newest) return;
    this.#newest = revision;
    for (const waiter of [...this.#waiters]) {
      if (revision > waiter.after) waiter.resolve(revision);
    }
  }

  /** Somebody may have committed: looks, once at a time, and only when somebody waits. */
  poke(): void {
    if (this.#closed || this.#waiters.size === 0) return;
    this.#readAgain = true;
    if (this.#reading) return;
    this.#reading = true;
    void this.#look().finally(() => {
      this.#reading = false;
    });
  }

  close(): void {
    this.#closed = true;
    this.#rejectAll(closedError());
  }

  async #look(): Promise<void> {
    while (this.#readAgain && !this.#closed) {
      this.#readAgain = false;
      try {
        this.advance(await this.#readRevision());
      } catch (thrown) {
        // A store out of reach for a while keeps its waiters: the engine pokes again when it is back,
        // and whoever waits holds a signal. Anything else they must hear of.
        const failure = asKilnError(thrown);
        if (!failure.retryable) this.#rejectAll(failure);
      }
    }
  }

  #rejectAll(reason: KilnError): void {
    for (const waiter of [...this.#waiters]) waiter.reject(reason);
  }
}

function closedError(): KilnError {
  return new KilnError('aborted', 'The store was closed.');
}
