/** One bake that runs or has run in this process: its progress, for those who watch, and its outcome. */

import { asKilnError, type KilnError } from '../domain/errors.ts';
import type { BakeId } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { BuildDifference, BuildProgress } from '../domain/ports/builder.ts';

export type BakeOutcome =
  | { readonly kind: 'baked'; readonly image: Image; readonly differences?: readonly BuildDifference[] }
  /** Key and version exist: nothing was built. */
  | { readonly kind: 'unchanged'; readonly image: Image; readonly differences?: readonly BuildDifference[] }
  | { readonly kind: 'failed'; readonly error: KilnError };

export interface BakeView {
  readonly id: BakeId;
  readonly directory: string;
  readonly startedAtMs: number;
  readonly startedBy: string;
  readonly endedAtMs?: number;
  /** Undefined while it runs. */
  readonly outcome?: BakeOutcome;
}

export type BakeProgress = BuildProgress | { readonly kind: 'end'; readonly outcome: BakeOutcome };

/** Those who come later see the first and the last lines. */
const PROGRESS_LIMIT = 2000;

export class BakeRecord {
  readonly controller = new AbortController();
  readonly #progress: BuildProgress[] = [];
  #dropped = 0;
  #view: BakeView;
  #wake = Promise.withResolvers<void>();

  constructor(view: BakeView) {
    this.#view = view;
  }

  get view(): BakeView {
    return this.#view;
  }

  note(progress: BuildProgress): void {
    this.#progress.push(progress);
    if (this.#progress.length > PROGRESS_LIMIT) {
      this.#progress.shift();
      this.#dropped += 1;
    }
    this.#wakeAll();
  }

  end(outcome: BakeOutcome, endedAtMs: number): void {
    this.#view = { ...this.#view, outcome, endedAtMs };
    this.#wakeAll();
  }

  /** Resolves with its state when it has ended or the time is over, whichever is first. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<BakeView> {
    const limit = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]);
    while (this.#view.outcome === undefined && !limit.aborted) await this.#changed(limit);
    signal.throwIfAborted();
    return this.#view;
  }

  /** From its beginning, or what is kept of it, to its end. */
  async *follow(signal: AbortSignal): AsyncIterable<BakeProgress> {
    let next = 0;
    for (;;) {
      signal.throwIfAborted();
      next = Math.max(next, this.#dropped);
      const progress = this.#progress[next - this.#dropped];
      if (progress !== undefined) {
        next += 1;
        yield progress;
        continue;
      }
      const { outcome } = this.#view;
      if (outcome !== undefined) {
        yield { kind: 'end', outcome };
        return;
      }
      await this.#changed(signal);
    }
  }

  #wakeAll(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }

  async #changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const aborted = Promise.withResolvers<void>();
    const onAbort = (): void => aborted.resolve();
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([this.#wake.promise, aborted.promise]);
    signal.removeEventListener('abort', onAbort);
  }
}

export function failedOutcome(thrown: unknown): BakeOutcome {
  return { kind: 'failed', error: asKilnError(thrown) };
}
