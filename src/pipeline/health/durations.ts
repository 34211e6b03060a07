/** How long executions take, and whether that changes. Pure. */

export interface Durations {
  readonly medianMs: number;
  readonly p90Ms: number;
  /** The newer half against the older one: 1.2 takes a fifth longer. Absent with fewer than six. */
  readonly trend?: number;
}

const LEAST_FOR_TREND = 6;

/** Of those that succeeded, newest first; how long a failed one took says nothing. */
export function durationsOf(newestFirst: readonly number[]): Durations | undefined {
  if (newestFirst.length === 0) return undefined;
  const half = Math.floor(newestFirst.length / 2);
  const [newer, older] = [newestFirst.slice(0, half), newestFirst.slice(-half)];
  const before = percentile(older, 0.5);
  return {
    medianMs: percentile(newestFirst, 0.5),
    p90Ms: percentile(newestFirst, 0.9),
    ...(newestFirst.length >= LEAST_FOR_TREND && before > 0 && { trend: percentile(newer, 0.5) / before }),
  };
}

/** By the nearest rank; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
