/** What a rollback turns to, and so what has to be kept for it. Pure; both sides ask here. */
import type { ReleaseNumber } from './ids.ts';

/** A release as far as rolling back is concerned. */
export interface PastRelease {
  readonly number: ReleaseNumber;
  /** When it last came to serve; null: never. */
  readonly servedAtMs: number | null;
  readonly bad: boolean;
}

/**
 * The releases that rollbacks go through, the next one first: of those that served and were not bad the one that served
 * last. Only such as were made before the one that serves, so that a second rollback goes further back, never forth.
 */
export function rollbackOrder<Past extends PastRelease>(
  releases: readonly Past[],
  serving: ReleaseNumber | null,
): readonly Past[] {
  return releases
    .filter((one) => one.servedAtMs !== null && !one.bad && one.number < (serving ?? 0))
    .toSorted((a, b) => (b.servedAtMs ?? 0) - (a.servedAtMs ?? 0) || b.number - a.number);
}
