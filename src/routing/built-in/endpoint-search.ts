/**
 * Finds an endpoint for one request: the pool's choice, or, where there is none, the first that becomes healthy
 * as long as the pool lets requests wait. One that could not be reached is not tried again, until something changes.
 */
import type { RoutedEndpointState } from './endpoint.ts';
import type { Forwarding } from './forwarding.ts';
import { PAGES, type Page } from './pages.ts';
import type { PoolState, Waiting } from './pool.ts';

/** Told what came of it, once for each time it is asked. */
export interface Seeker {
  found(endpoint: RoutedEndpointState): void;
  /** Why the request cannot be answered. */
  notFound(page: Page): void;
}

const MAX_ATTEMPTS = 4;

export class EndpointSearch implements Waiting {
  readonly #seeker: Seeker;
  readonly #forwarding: Forwarding;
  readonly #pool: PoolState;
  #attempts = 0;
  #tried: Set<RoutedEndpointState> | undefined;
  #holdUntilMs = -1;
  #holdTimer: NodeJS.Timeout | undefined;
  #failure: Page = PAGES.noInstance;

  constructor(seeker: Seeker, forwarding: Forwarding, pool: PoolState) {
    this.#seeker = seeker;
    this.#forwarding = forwarding;
    this.#pool = pool;
  }

  get mayTryAgain(): boolean {
    return this.#attempts < MAX_ATTEMPTS;
  }

  next(): void {
    const endpoint = this.#pool.pick(this.#tried);
    if (endpoint === undefined) {
      this.#waitOrGiveUp();
      return;
    }
    this.#attempts++;
    this.#seeker.found(endpoint);
  }

  /** `endpoint` could not be reached, which the page says where no other can be either. */
  nextInsteadOf(endpoint: RoutedEndpointState | undefined, page: Page): void {
    if (endpoint !== undefined) this.#tried = (this.#tried ?? new Set()).add(endpoint);
    this.#failure = page;
    if (this.mayTryAgain) this.next();
    else this.#seeker.notFound(page);
  }

  chooseAgain(): void {
    clearTimeout(this.#holdTimer);
    this.#tried = undefined;
    this.next();
  }

  stop(): void {
    clearTimeout(this.#holdTimer);
    this.#pool.leave(this);
  }

  #waitOrGiveUp(): void {
    const nowMs = this.#forwarding.now();
    if (this.#holdUntilMs < 0) this.#holdUntilMs = nowMs + this.#forwarding.holdMs(this.#pool);
    const isFull = this.#pool.waiting >= this.#forwarding.limits.waitingRequests;
    if (this.#holdUntilMs <= nowMs || isFull || this.#pool.isWithdrawn) {
      this.#seeker.notFound(this.#failure);
      return;
    }
    this.#pool.wait(this);
    this.#holdTimer = setTimeout(() => {
      this.#pool.leave(this);
      this.#seeker.notFound(this.#failure);
    }, this.#holdUntilMs - nowMs);
  }
}
