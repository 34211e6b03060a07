/**
 * Carries out what `domain/retention.ts` decides: announces, keeps, sweeps, then has deleted what the swept images were
 * kept as. Each step is a transaction of its own that is right wherever the run is cut off, so a run that was killed is
 * simply run again.
 */
import { KilnError } from '../domain/errors.ts';
import type { ImageId } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { SweptArtifact } from '../domain/ports/janitor.ts';
import type { Store } from '../domain/ports/store.ts';
import {
  afterWorkingDays,
  DEFAULT_RETENTION,
  type KeepReason,
  type RetentionDecision,
  type RetentionPolicy,
} from '../domain/retention.ts';
import { type Deleted, Deleting, type DeletingParts, NOTHING_DELETED } from './delete-swept.ts';

const BATCH = 500;
/** In one transaction, which holds up the server for as long as it takes. */
const SWEPT_AT_A_TIME = 50;

export interface JanitorParts extends DeletingParts {
  readonly store: Pick<Store, 'janitor' | 'images'>;
  readonly clock: Clock;
  readonly policy?: RetentionPolicy;
}

export interface JanitorRun extends Deleted {
  /** Nothing was changed: `announced` and `swept` are what would have been. */
  readonly dryRun: boolean;
  readonly refused?: string;
  readonly images: number;
  readonly references: number;
  readonly kept: Readonly<Record<KeepReason, number>>;
  readonly announced: number;
  /** Were announced and are needed again. */
  readonly reprieved: number;
  readonly swept: number;
  /** Were to be swept, and came to be needed in the meantime. */
  readonly spared: number;
  readonly waiting: number;
}

export interface Explanation {
  readonly image: ImageId;
  /** Absent: nothing needs it. */
  readonly kept?: KeepReason;
  readonly announcedAtMs?: number;
  readonly sweepAfterMs?: number;
}

export class Janitor {
  readonly #parts: JanitorParts;
  readonly #policy: RetentionPolicy;
  #running = false;

  constructor(parts: JanitorParts) {
    this.#parts = parts;
    this.#policy = parts.policy ?? DEFAULT_RETENTION;
  }

  get policy(): RetentionPolicy {
    return this.#policy;
  }

  /** Only says what it would do where it is asked to, or where the janitor is not enabled. */
  async run(
    request: { readonly actor: string; readonly dryRun: boolean },
    signal: AbortSignal,
  ): Promise<JanitorRun> {
    if (this.#running) {
      throw new KilnError('input.conflict', 'The janitor is at work already.', {
        next: 'Wait until it has ended.',
        retryable: true,
      });
    }
    this.#running = true;
    try {
      const { janitor } = this.#parts.store;
      const { enabled } = await janitor.state();
      const decision = await janitor.decide(this.#policy, this.#parts.clock.now());
      if (request.dryRun || !enabled || decision.refused !== undefined)
        return supposed(decision, request.dryRun || !enabled);
      return await this.#carryOut(decision, request.actor, signal);
    } finally {
      this.#running = false;
    }
  }

  async explain(image: ImageId): Promise<Explanation> {
    const { janitor } = this.#parts.store;
    const [kept, mark] = [
      await janitor.keepReason(image, this.#policy, this.#parts.clock.now()),
      await janitor.marked(image),
    ];
    return {
      image,
      ...(kept === undefined ? {} : { kept }),
      ...(mark === undefined ? {} : { announcedAtMs: mark.markedAtMs, sweepAfterMs: mark.sweepAfterMs }),
    };
  }

  async #carryOut(decision: RetentionDecision, actor: string, signal: AbortSignal): Promise<JanitorRun> {
    const { store, clock } = this.#parts;
    const change = () => ({ actor, atMs: clock.now() });
    for (const some of batches(decision.unmark)) {
      signal.throwIfAborted();
      await store.janitor.unmark(some, change());
    }
    const sweepAfterMs = afterWorkingDays(clock.now(), this.#policy.noticeWorkingDays);
    for (const some of batches(decision.mark)) {
      signal.throwIfAborted();
      await store.janitor.mark(some, sweepAfterMs, change());
    }
    let swept = 0;
    for (const some of batches(decision.sweep, SWEPT_AT_A_TIME)) {
      signal.throwIfAborted();
      const outcomes = await store.janitor.sweep(some, this.#policy, change());
      for (const outcome of outcomes.values()) if (outcome === 'swept') swept += 1;
    }
    const deleted = await this.deleteSwept(signal);
    await store.janitor.finishRun(decision.references, clock.now());
    return {
      ...supposed(decision, false),
      swept,
      spared: decision.sweep.length - swept,
      ...deleted,
    };
  }

  /** Also after a crash in the middle of it: what is listed is deleted before it is forgotten. */
  async deleteSwept(signal: AbortSignal): Promise<Deleted> {
    const { janitor } = this.#parts.store;
    const deleting = new Deleting(this.#parts);
    for (let after: SweptArtifact | undefined; ; ) {
      const listed = await janitor.sweptArtifacts(after);
      after = listed.at(-1);
      if (after === undefined) return deleting.result;
      const gone: SweptArtifact[] = [];
      for (const one of listed) if (await deleting.isGone(one, signal)) gone.push(one);
      await janitor.forgetArtifacts(gone);
    }
  }
}

function* batches(numbers: readonly number[], size = BATCH): Iterable<readonly number[]> {
  for (let from = 0; from < numbers.length; from += size) yield numbers.slice(from, from + size);
}

function supposed(decision: RetentionDecision, dryRun: boolean): JanitorRun {
  const { refused, images, references, kept, mark, unmark, sweep, waiting } = decision;
  return {
    dryRun,
    ...(refused === undefined ? {} : { refused }),
    images,
    references,
    kept,
    announced: mark.length,
    reprieved: unmark.length,
    swept: sweep.length,
    spared: 0,
    waiting,
    ...NOTHING_DELETED,
  };
}
