/**
 * Looks after a router that runs: one that is gone is started again, one that does not answer for long is ended
 * first.
 */
import { asKilnError } from '../../domain/errors.ts';
import { isUnreachable } from '../unreachable.ts';

export interface Watched {
  readonly pingMs: number;
  /** Asks the router whether it answers. */
  ping(signal: AbortSignal): Promise<unknown>;
  /** True while it is being started or replaced, when there is nothing to look after. */
  isBusy(): boolean;
  endHung(): Promise<void>;
  /** Starts it where it does not run. Never rejects. */
  revive(why: string): Promise<void>;
}

const PINGS_UNTIL_HUNG = 3;

export class Watchdog {
  readonly #watched: Watched;
  #timer: NodeJS.Timeout | undefined;
  #missedPings = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), this.#watched.pingMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The connection to the router closed, which it does not do by itself. */
  lost(): void {
    if (this.#timer !== undefined && !this.#watched.isBusy()) {
      void this.#watched.revive('its control connection closed');
    }
  }

  async #look(): Promise<void> {
    if (this.#watched.isBusy()) return;
    try {
      await this.#watched.ping(AbortSignal.timeout(this.#watched.pingMs));
      this.#missedPings = 0;
    } catch (thrown) {
      if (this.#timer === undefined) return;
      if (!isUnreachable(thrown)) {
        if (++this.#missedPings < PINGS_UNTIL_HUNG) return;
        await this.#watched.endHung();
      }
      this.#missedPings = 0;
      await this.#watched.revive(asKilnError(thrown).message);
    }
  }
}
