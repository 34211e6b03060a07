/** What comes round while the server runs: once at the start, and again so long after each time. */
import { asKilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';

export interface RoundsParts {
  readonly everyMs: number;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: { warn(fields: Readonly<Record<string, unknown>>, message: string): void };
  /** What is said of a round that fails; the next tries again. */
  readonly onFailure: string;
}

export class Rounds {
  readonly #parts: RoundsParts;
  readonly #round: (signal: AbortSignal) => Promise<unknown>;
  readonly #stop = new AbortController();
  #going: Promise<void> = Promise.resolve();

  constructor(parts: RoundsParts, round: (signal: AbortSignal) => Promise<unknown>) {
    this.#parts = parts;
    this.#round = round;
  }

  start(): void {
    this.#going = this.#go(this.#stop.signal);
  }

  /** The round that is under way ends first: it is told to. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#going;
  }

  async #go(signal: AbortSignal): Promise<void> {
    const { everyMs, clock, log, onFailure } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
      } catch (thrown) {
        if (!signal.aborted) log.warn({ err: asKilnError(thrown) }, onFailure);
      }
      await clock.sleep(everyMs, signal).catch(() => undefined); // aborted: it ends above
    }
  }
}
