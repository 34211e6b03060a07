/** Tries again what a registry or the way to it failed at for the moment: longer and longer pauses, up to a limit. */
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;

export interface Patience {
  readonly clock: Clock;
  /** Spreads the pauses of many; 0 ≤ n < 1. */
  readonly random: () => number;
  /** How long a registry may be away, from its first failure to the last try. */
  readonly limitMs: number;
}

/** Only `registry.unreachable` is tried again: everything else would fail in the same way. */
export async function patiently<Result>(
  { clock, random, limitMs }: Patience,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  let givesUpAtMs: number | undefined;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof KilnError && error.code === 'registry.unreachable')) throw error;
      givesUpAtMs ??= clock.monotonic() + limitMs;
      const asked = typeof error.details.retryAfterMs === 'number' ? error.details.retryAfterMs : 0;
      const wait = Math.max(pauseMs * (0.5 + random() / 2), asked);
      if (clock.monotonic() + wait > givesUpAtMs) throw error;
      await clock.sleep(wait, signal);
    }
  }
}

/** All of them, at most so many at a time. The first failure ends the others, and all have ended when it is told. */
export async function severalAtATime<Item>(
  items: readonly Item[],
  limit: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const waiting = items.values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) {
      either.throwIfAborted();
      try {
        await work(item, either);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }
  };
  await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, lane));
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
}
