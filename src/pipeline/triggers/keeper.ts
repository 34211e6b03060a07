/**
 * Keeps triggers going: looks for what happened, and acts on what was taken.
 *
 * MODES
 *   waiting   another server of the same store keeps them; this one tries for the lease
 *   keeping   this one does, until it loses the lease or closes
 *
 * INVARIANTS
 *   - Events of one source are acted on one at a time, in their order; those of several sources side by side.
 *   - An event stays in the store until it is settled: after a crash it is acted on again, for the same execution.
 *   - One that fails for a reason that may pass is tried again, for half an hour at most; then it is settled as failed.
 */
import { asKilnError, type KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { LeaseStore } from '../../domain/ports/leases.ts';
import type { TakenEvent, TriggerOutcome, TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource } from '../../domain/trigger.ts';
import type { TriggerInbox } from './inbox.ts';
import type { Poller } from './poller.ts';
import { takeDue } from './schedules.ts';
import type { StoreFollower } from './store-follower.ts';

/** Of no service: names of these hold an `@`. */
const LEASE = 'pipeline-triggers' as ServiceKey;
const TTL_MS = 6_000;
const ROUND_MS = 1_000;
/** Where nothing is due by itself: what is stored wakes it anyway. */
const QUIET_MS = 60_000;
const WAITING_LIMIT = 200;
const TRIED_FOR_MS = 30 * 60_000;
const LONGEST_PAUSE_MS = 60_000;

interface KeeperLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface KeeperParts {
  readonly store: TriggerStore;
  readonly leases: Pick<LeaseStore, 'acquire' | 'release'>;
  readonly events: Pick<EventStore, 'revision' | 'waitAfter'>;
  readonly inbox: TriggerInbox;
  readonly poller: Poller;
  readonly follower: StoreFollower;
  readonly actOn: (taken: TakenEvent, signal: AbortSignal) => Promise<TriggerOutcome>;
  readonly clock: Clock;
  readonly log: KeeperLog;
  readonly holder: string;
  /** Other servers work on the same store: a lease says which of them keeps triggers. */
  readonly shares: boolean;
}

export class TriggerKeeper {
  readonly #parts: KeeperParts;
  readonly #stop = new AbortController();
  #keeping: Promise<void> = Promise.resolve();
  readonly #work = new Set<Promise<void>>();
  /** Sources whose events are acted on right now. */
  readonly #busy = new Set<string>();
  /** Events to be tried again: how often, and from when on (of the monotonic clock). */
  readonly #again = new Map<number, { readonly tries: number; readonly fromMs: number }>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#keeping = this.#keep(this.#stop.signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#keeping;
    await Promise.all(this.#work);
    if (this.#parts.shares) await this.#parts.leases.release(LEASE, this.#parts.holder);
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { events, clock, follower, shares } = this.#parts;
    let heldUntilMs = shares ? 0 : Number.POSITIVE_INFINITY;
    while (!signal.aborted) {
      try {
        const revision = await events.revision();
        if (clock.monotonic() > heldUntilMs - TTL_MS / 2) heldUntilMs = await this.#heldUntilMs();
        if (heldUntilMs === 0) follower.forget();
        const isQuiet = heldUntilMs > 0 && (await this.#round(signal));
        await this.#news(revision, isQuiet && !shares ? QUIET_MS : ROUND_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#warn(error, 'triggers cannot be looked after for now; trying again');
        await clock.sleep(ROUND_MS, signal).catch(() => undefined);
      }
    }
  }

  /** On the monotonic clock; 0: somebody else keeps them. */
  async #heldUntilMs(): Promise<number> {
    const { leases, clock, holder } = this.#parts;
    const lease = await leases.acquire(LEASE, holder, TTL_MS, clock.now());
    return lease === undefined ? 0 : clock.monotonic() + TTL_MS;
  }

  /** Until something has changed, or it is time to look anyway. */
  async #news(revision: number, limitMs: number, signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(limitMs);
    await this.#parts.events.waitAfter(revision, AbortSignal.any([signal, limit])).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
    });
  }

  /** True: nothing will be due before something is stored. */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { store, inbox, poller, follower, clock } = this.#parts;
    const sources = await store.sources();
    await follower.follow(sources);
    await takeDue(store, inbox, sources, clock.now());
    this.#track(poller.round(sources, signal));
    await this.#beginWaiting(sources, signal);
    const isTimed = sources.some(
      ({ pollEveryMs, triggers }) => pollEveryMs !== undefined || triggers.schedule.length > 0,
    );
    return !isTimed && this.#again.size === 0 && this.#busy.size === 0;
  }

  async #beginWaiting(sources: readonly PipelineSource[], signal: AbortSignal): Promise<void> {
    if (sources.length === 0) return;
    const waiting = await this.#parts.store.waiting(WAITING_LIMIT);
    const now = this.#parts.clock.monotonic();
    for (const [source, events] of Map.groupBy(waiting, (one) => one.source)) {
      const [first] = events;
      if (first === undefined || this.#busy.has(source)) continue;
      if ((this.#again.get(first.number)?.fromMs ?? 0) > now) continue;
      this.#busy.add(source);
      this.#track(this.#act(first, signal).finally(() => this.#busy.delete(source)));
    }
  }

  async #act(taken: TakenEvent, signal: AbortSignal): Promise<void> {
    const outcome = await this.#outcomeOf(taken, signal);
    if (outcome === undefined) return;
    this.#again.delete(taken.number);
    const { clock, store, log } = this.#parts;
    const { source, event } = taken;
    log.info({ source, event: event.kind, ...outcome }, 'an event was acted on');
    await store.settle(taken.number, outcome, { actor: 'pipeline', atMs: clock.now() });
  }

  /** Undefined: it is tried again. */
  async #outcomeOf(taken: TakenEvent, signal: AbortSignal): Promise<TriggerOutcome | undefined> {
    try {
      return await this.#parts.actOn(taken, signal);
    } catch (thrown) {
      if (signal.aborted) return undefined;
      const error = asKilnError(thrown);
      this.#warn(error, `source ${taken.source}: the pipeline could not be started`);
      if (this.#isTriedAgain(taken, error)) return undefined;
      const { code, message, next } = error;
      return { kind: 'failed', code, message: next === undefined ? message : `${message} ${next}` };
    }
  }

  #isTriedAgain({ number, takenAtMs }: TakenEvent, error: KilnError): boolean {
    const { clock } = this.#parts;
    if (!error.retryable || clock.now() - takenAtMs > TRIED_FOR_MS) return false;
    const tries = (this.#again.get(number)?.tries ?? 0) + 1;
    const pauseMs = Math.min(1_000 * 2 ** Math.min(tries, 10), LONGEST_PAUSE_MS);
    this.#again.set(number, { tries, fromMs: clock.monotonic() + pauseMs });
    return true;
  }

  #track(work: Promise<void>): void {
    const tracked = work.catch((error: unknown) => {
      if (!this.#stop.signal.aborted) this.#warn(error, 'a trigger could not be looked after for now');
    });
    this.#work.add(tracked);
    void tracked.finally(() => this.#work.delete(tracked));
  }

  #warn(thrown: unknown, message: string): void {
    const { code, message: why } = asKilnError(thrown);
    this.#parts.log.warn({ code, why }, message);
  }
}
