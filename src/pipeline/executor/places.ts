/** The machine's places for tasks: so many at once, the more urgent first, else in their order. */

interface Waiting {
  readonly priority: number;
  readonly enter: () => void;
}

export class Places {
  readonly #waiting: Waiting[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs `work` once there is a place; rejects with the signal's reason when it is aborted before. */
  async within<Result>(priority: number, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    await this.#enter(priority, signal);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next.enter();
    }
  }

  #enter(priority: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const waiting: Waiting = { priority, enter };
      const behind = this.#waiting.findIndex((other) => other.priority < priority);
      this.#waiting.splice(behind === -1 ? this.#waiting.length : behind, 0, waiting);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
