/**
 * Carries out what `domain/retention.ts` decides: announces, keeps, sweeps, then has deleted what the swept images were
 * kept as. Each step is a transaction of its own that is right wherever the run is cut off, so a run that was killed is
 * simply run again.
 */
import { KilnError } from '../domain/errors.ts';
import type { ImageId } from '../domain/ids.ts';
import type { Artifact } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import {
  afterWorkingDays,
  DEFAULT_RETENTION,
  type KeepReason,
  type RetentionDecision,
  type RetentionPolicy,
} from '../domain/retention.ts';

const BATCH = 500;
/** In one transaction, which holds up the server for as long as it takes. */
const SWEPT_AT_A_TIME = 50;

export interface JanitorParts {
  readonly store: Pick<Store, 'janitor' | 'images'>;
  readonly clock: Clock;
  /** Deletes blobs that no image stands on any more. */
  readonly collectBlobs: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** Deletes what a provider keeps, by the provider's name; done twice is done once. */
  readonly deleteArtifact?: Readonly<Record<string, (artifact: Artifact) => Promise<void>>>;
  readonly policy?: RetentionPolicy;
}

export interface JanitorRun {
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
  readonly deletedBlobs: number;
  readonly deletedBytes: number;
  /** Artifacts of providers from which nobody here can delete; kept in mind. */
  readonly artifactsLeft: number;
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
    const deleted = await this.deleteSwept();
    await store.janitor.finishRun(decision.references, clock.now());
    return {
      ...supposed(decision, false),
      swept,
      spared: decision.sweep.length - swept,
      ...deleted,
    };
  }

  /** Also after a crash in the middle of it: what is listed is deleted before it is forgotten. */
  async deleteSwept(): Promise<Pick<JanitorRun, 'deletedBlobs' | 'deletedBytes' | 'artifactsLeft'>> {
    const { store, collectBlobs, deleteArtifact = {} } = this.#parts;
    let collected = { blobs: 0, bytes: 0 };
    for (let hasCollected = false; ; ) {
      const listed = await store.janitor.sweptArtifacts();
      const known = listed.filter(
        ({ artifact }) => artifact.provider === 'local' || Object.hasOwn(deleteArtifact, artifact.provider),
      );
      if (known.length === 0) {
        return { deletedBlobs: collected.blobs, deletedBytes: collected.bytes, artifactsLeft: listed.length };
      }
      if (!hasCollected && known.some(({ artifact }) => artifact.provider === 'local')) {
        collected = await collectBlobs();
        hasCollected = true;
      }
      for (const { artifact } of known) await deleteArtifact[artifact.provider]?.(artifact);
      await store.janitor.forgetArtifacts(known);
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
    deletedBlobs: 0,
    deletedBytes: 0,
    artifactsLeft: 0,
  };
}
