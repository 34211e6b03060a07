/**
 * From a source folder to a recorded image. One bake of a folder at a time: a second one waits and then, most
 * often, finds nothing changed. An image is recorded, in one transaction, only when all its blobs are durable; a
 * crash before that leaves blobs that the next bake takes over or `collect` removes.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import type { BakeId, Digest } from '../domain/ids.ts';
import { isSystemError } from '../files/system-error.ts';
import {
  type BakeOutcome,
  type BakeProgress,
  BakeRecord,
  type BakeView,
  failedOutcome,
} from './bake-record.ts';
import { type BakeRequest, Baking, type BakingParts } from './baking.ts';
import { type Collected, collectBlobs, sweepAfterCrash } from './litter.ts';
import { sourceOf } from './recorded-source.ts';

const RECORDS_KEPT = 100;
/** Layers that only the cache of build steps stands on are kept this long after their last use. */
const STEP_CACHE_MS = 14 * 24 * 3600 * 1000;

export interface BakeryOptions extends BakingParts {
  /** Layers that a builder's cache needs, of what was used since then. */
  readonly cachedLayers: (sinceMs: number) => Promise<ReadonlySet<Digest>>;
}

export class Bakery {
  readonly #options: BakeryOptions;
  readonly #baking: Baking;
  readonly #records = new Map<BakeId, BakeRecord>();
  /** The last bake of each folder; `collect` waits for all of them. */
  readonly #queues = new Map<string, Promise<void>>();
  #collecting: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BakeryOptions) {
    this.#options = options;
    this.#baking = new Baking(options);
  }

  /** Call before the first bake: removes what a crash has left. */
  async sweep(): Promise<void> {
    await sweepAfterCrash(this.#options.stateDirectory, this.#options.blobs);
  }

  /**
   * Begins a bake and returns at once; fails only when the folder is not there, which that of an image that is baked
   * again need not be.
   */
  async start(request: BakeRequest): Promise<{ readonly id: BakeId }> {
    if (this.#closed) throw new KilnError('aborted', 'The server is stopping.', { retryable: true });
    const { again } = request;
    const directory =
      again === undefined ? await existingDirectory(request.directory) : sourceOf(again).directory;
    const id = `bake-${this.#options.randomId()}` as BakeId;
    const record = new BakeRecord({
      id,
      directory,
      startedAtMs: this.#options.clock.now(),
      startedBy: request.actor,
    });
    this.#records.set(id, record);
    this.#forgetOldRecords();
    const before = Promise.all([this.#queues.get(directory), this.#collecting]);
    const done = before.then(() => this.#run(record, { ...request, directory }));
    this.#queues.set(directory, done);
    void done.then(() => {
      if (this.#queues.get(directory) === done) this.#queues.delete(directory);
    });
    return { id };
  }

  get(id: BakeId): BakeView {
    return this.#recordOf(id).view;
  }

  /** Its state when it has ended or after `timeoutMs`. */
  wait(id: BakeId, timeoutMs: number, signal: AbortSignal): Promise<BakeView> {
    return this.#recordOf(id).wait(timeoutMs, signal);
  }

  /** Progress from the beginning; the last item is of kind `end`. */
  follow(id: BakeId, signal: AbortSignal): AsyncIterable<BakeProgress> {
    return this.#recordOf(id).follow(signal);
  }

  /** Ends it; nothing is left of it. One that has ended stays as it is. */
  cancel(id: BakeId): void {
    this.#recordOf(id).controller.abort(new KilnError('aborted', 'The bake was cancelled.'));
  }

  /**
   * Deletes blobs that no manifest in `keep` stands on, that nobody wanted for `unusedMs`, and that nobody holds; waits for
   * bakes under way, and they for it. A function is asked once none is: what they have recorded is in it.
   */
  async collect(
    keep: ReadonlySet<Digest> | (() => Promise<ReadonlySet<Digest>>),
    options: { readonly unusedMs?: number; readonly isShared?: boolean } = {},
  ): Promise<Collected> {
    const { blobs, cachedLayers, clock } = this.#options;
    const { unusedMs, isShared = false } = options;
    const before = Promise.all([...this.#queues.values(), this.#collecting]);
    const collected = before.then(async () => {
      const end = blobs.holds.beginCollection();
      try {
        return await collectBlobs(blobs, {
          keep: typeof keep === 'function' ? await keep() : keep,
          cached: await cachedLayers(clock.now() - STEP_CACHE_MS),
          isShared,
          ...(unusedMs === undefined ? {} : { unusedSinceMs: clock.now() - unusedMs }),
        });
      } finally {
        end();
      }
    });
    this.#collecting = collected.then(
      () => undefined,
      () => undefined,
    );
    return collected;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const record of this.#records.values()) {
      record.controller.abort(new KilnError('aborted', 'The server is stopping.', { retryable: true }));
    }
    await Promise.all([...this.#queues.values(), this.#collecting]);
    await Promise.all(this.#options.builders.map((builder) => builder.close()));
  }

  async #run(record: BakeRecord, request: BakeRequest): Promise<void> {
    let outcome: BakeOutcome;
    try {
      outcome = await this.#baking.bake(record, request);
    } catch (error) {
      outcome = failedOutcome(record.controller.signal.aborted ? record.controller.signal.reason : error);
    }
    record.end(outcome, this.#options.clock.now());
  }

  #recordOf(id: BakeId): BakeRecord {
    const record = this.#records.get(id);
    if (record !== undefined) return record;
    throw new KilnError('not-found', `There is no bake ${id}.`, {
      next: 'It may be of an earlier run of the server; bake again, which costs nothing when it was done.',
    });
  }

  #forgetOldRecords(): void {
    for (const [id, record] of this.#records) {
      if (this.#records.size <= RECORDS_KEPT) return;
      if (record.view.outcome !== undefined) this.#records.delete(id);
    }
  }
}

async function existingDirectory(directory: string): Promise<string> {
  if (!path.isAbsolute(directory)) {
    throw new KilnError('input.invalid', `"${directory}" is not an absolute path.`, {
      next: 'Give the absolute path of the component, on the machine of the server.',
    });
  }
  try {
    return await realpath(directory);
  } catch (error) {
    if (isSystemError(error, 'EACCES')) {
      throw new KilnError('input.invalid', `The folder ${directory} cannot be read by Kiln's user.`, {
        cause: error,
        next: 'Give that user the right to read it and to enter the folders above it.',
      });
    }
    throw new KilnError('not-found', `There is no folder ${directory} on the machine of the server.`, {
      cause: error,
      next: 'Check the path.',
    });
  }
}
