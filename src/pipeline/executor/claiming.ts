/**
 * Which executions this server carries on. Where servers share a store, each says every now and then that it lives, and
 * keeps what it holds by that; one that is silent for `TTL_MS` loses it to the others. Where none is shared, nothing is
 * said: there is nobody to hear it.
 */
import type { Clock } from '../../domain/ports/clock.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { Claim, ExecutionStore } from '../../domain/ports/executions.ts';

/** A dead server's executions are free after this long. */
const TTL_MS = 5_000;
const ROUND_MS = 1_500;
/** Events of the store say what is new; this is only for what they may have missed. */
const LONE_ROUND_MS = 15_000;
/** How many are claimed, or loaded, at once. */
const CLAIM_SIZE = 400;
const RETRY_MS = 500;

export interface ClaimingParts {
  readonly store: Pick<ExecutionStore, 'renew' | 'claim'>;
  readonly events: Pick<EventStore, 'after' | 'revision' | 'waitAfter'>;
  readonly clock: Clock;
  readonly holder: string;
  /** Other servers may carry on executions of the same store. */
  readonly shares: boolean;
  readonly onClaimed: (claims: readonly Claim[]) => Promise<void>;
  readonly onSignal: (execution: string) => void;
  readonly warn: (thrown: unknown, message: string) => void;
  /** Work that closing waits for. */
  readonly track: (work: Promise<void>) => void;
}

export class Claiming {
  readonly #parts: ClaimingParts;
  readonly #signal: AbortSignal;
  #claiming = false;
  #claimAgain = false;

  constructor(parts: ClaimingParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
  }

  async start(): Promise<void> {
    await this.#renew();
    const revision = await this.#parts.events.revision();
    this.#parts.track(this.#rounds());
    this.#parts.track(this.#follow(revision));
  }

  async #rounds(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        await this.#renew();
        this.#claim();
      } catch (thrown) {
        this.#parts.warn(thrown, 'cannot say that this server carries executions on; trying again');
      }
      await this.#pause(this.#parts.shares ? ROUND_MS : LONE_ROUND_MS);
    }
  }

  async #renew(): Promise<void> {
    const { store, holder, clock, shares } = this.#parts;
    if (shares) await store.renew(holder, TTL_MS, clock.now());
  }

  /** Looks for what nobody carries on; asked again while it looks, it looks once more. */
  #claim(): void {
    this.#claimAgain = true;
    if (this.#claiming || this.#signal.aborted) return;
    this.#claiming = true;
    this.#parts.track(
      this.#claimAll().finally(() => {
        this.#claiming = false;
      }),
    );
  }

  async #claimAll(): Promise<void> {
    const { store, holder, clock, onClaimed, warn } = this.#parts;
    while (this.#claimAgain && !this.#signal.aborted) {
      this.#claimAgain = false;
      try {
        const claims = await store.claim(holder, CLAIM_SIZE, clock.now());
        await onClaimed(claims);
        if (claims.length === CLAIM_SIZE) this.#claimAgain = true;
      } catch (thrown) {
        if (this.#signal.aborted) return;
        warn(thrown, 'cannot look for executions to carry on; trying again');
        this.#claimAgain = true;
        await this.#pause(RETRY_MS);
      }
      // Between two claims all else has its turn: appends, timers, and the word that this server lives.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #follow(from: number): Promise<void> {
    const { events, onSignal, warn } = this.#parts;
    let revision = from;
    while (!this.#signal.aborted) {
      try {
        await events.waitAfter(revision, this.#signal);
        const news = await events.after(revision, 1_000);
        for (const { kind, subject } of news) {
          if (kind === 'execution.created' || kind === 'execution.ended') this.#claim();
          if (kind === 'execution.signalled') onSignal(subject);
        }
        revision = news.at(-1)?.revision ?? revision;
      } catch (thrown) {
        if (this.#signal.aborted) return;
        warn(thrown, 'cannot follow the store; trying again');
        await this.#pause(RETRY_MS);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    // Aborted only when the server closes, which every caller looks for.
    await this.#parts.clock.sleep(ms, this.#signal).catch(() => undefined);
  }
}
