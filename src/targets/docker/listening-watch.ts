/**
 * Which containers listen on their ports. No event tells that a program listens now: while one is awaited it is looked
 * for again and again, and whoever waits is told.
 */
import type { Clock } from '../../domain/ports/clock.ts';
import type { Container } from './containers.ts';
import { listens } from './listening.ts';

/** While somebody waits for an instance to listen it is looked at as often as this. */
const EAGER_MS = 20;
const EAGER_FOR_MS = 30_000;
/** A listener that was found is looked for again no sooner. */
const LISTENING_MS = 250;

export interface ListeningParts {
  readonly clock: Clock;
  readonly containers: () => Promise<readonly Container[]>;
  /** One is about to be there. */
  readonly isLaunching: () => boolean;
  readonly onFound: () => void;
  readonly onFailure: (error: unknown) => void;
}

export class ListeningWatch {
  readonly #parts: ListeningParts;
  /** By container, when it was last seen to listen. */
  readonly #seenMs = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(parts: ListeningParts) {
    this.#parts = parts;
  }

  of({ containerId, pid, description }: Container): 'yes' | 'no' | 'unknown' {
    if (description.port === undefined || pid === 0) return 'no';
    const now = this.#parts.clock.monotonic();
    if (now - (this.#seenMs.get(containerId) ?? Number.NEGATIVE_INFINITY) < LISTENING_MS) return 'yes';
    const answer = listens(pid, containerId, description.port);
    if (answer === 'yes') this.#seenMs.set(containerId, now);
    else this.#seenMs.delete(containerId);
    return answer;
  }

  /** Looks as long as there is one to wait for; asked while it looks, it goes on looking. */
  watch(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#look(), EAGER_MS);
    this.#timer.unref();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    const { onFound, onFailure } = this.#parts;
    this.#awaited().then((state) => {
      if (state === 'one-listens') onFound();
      else if (state === 'waiting') this.watch();
    }, onFailure);
  }

  async #awaited(): Promise<'one-listens' | 'waiting' | 'nothing'> {
    const { clock, containers, isLaunching } = this.#parts;
    const now = clock.now();
    const young = (await containers()).filter(
      ({ description, containerId, status }) =>
        status === 'running' &&
        description.port !== undefined &&
        !this.#seenMs.has(containerId) &&
        now - description.startedAtMs < EAGER_FOR_MS,
    );
    if (young.some((container) => this.of(container) === 'yes')) return 'one-listens';
    return young.length > 0 || isLaunching() ? 'waiting' : 'nothing';
  }
}
