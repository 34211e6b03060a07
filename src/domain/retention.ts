/**
 * Which images the janitor may mark and sweep. Pure: a decision over a view of the whole catalogue.
 *
 *   kept ─nothing needs it any more─► marked ─notice is over, still nothing─► swept
 *     ▲                                  │
 *     └──────── needed again, restored ──┘
 *
 * - Never swept: what a channel holds, what a server group anywhere runs, what a release within reach of a rollback
 *   names, what is pinned, what is younger than the threshold or was used since, and every ancestor of one of these.
 * - A parent goes after its last child, never before.
 * - A view that is stale or suspiciously empty decides nothing.
 */
import type { ReleaseNumber } from './ids.ts';
import { type PastRelease, rollbackOrder } from './rollback.ts';

export interface RetentionPolicy {
  /** Neither made nor used for so long. */
  readonly unusedMs: number;
  readonly noticeWorkingDays: number;
  /** Of all images, at most this share is marked, and at most this share swept, in one run. */
  readonly share: number;
  /** And no more than so many are swept, which takes the store far longer than to mark them. */
  readonly sweptAtMost: number;
  /** Beside what serves, so many releases of each service can be rolled back to: one after the other, or by number. */
  readonly releasesKept: number;
  /** The last look at what runs may be so old. */
  readonly staleMs: number;
}

const DAY_MS = 24 * 3600 * 1000;

export const DEFAULT_RETENTION: RetentionPolicy = {
  unusedMs: 45 * DAY_MS,
  noticeWorkingDays: 3,
  share: 0.1,
  sweptAtMost: 5_000,
  releasesKept: 10,
  staleMs: DAY_MS,
};

/** Images by their number in the catalogue; numbers that are not in use have `there` 0. */
export interface RetentionView {
  readonly there: Uint8Array;
  /** Number of the image that it was baked from; 0: none. */
  readonly parent: Int32Array;
  /** When it was made or last used, whichever is later. */
  readonly neededAtMs: Float64Array;
  readonly pinned: Uint8Array;
  /** When its notice is over; 0: it is not marked. */
  readonly sweepAfterMs: Float64Array;
  readonly heldByChannels: readonly number[];
  readonly runByGroups: readonly number[];
  readonly inReachOfRollback: readonly number[];
  /** When it was last noted which images run. */
  readonly usesSeenAtMs: number;
  /** How many references the last run saw. */
  readonly lastReferences: number;
}

export const KEEP_REASONS = ['channel', 'group', 'release', 'pinned', 'young', 'ancestor'] as const;
export type KeepReason = (typeof KEEP_REASONS)[number];

export interface RetentionDecision {
  /** Present: nothing is marked or swept. */
  readonly refused?: string;
  readonly images: number;
  readonly references: number;
  /** By reason; an image that has several counts for the first. */
  readonly kept: Readonly<Record<KeepReason, number>>;
  /** Newest first, as are the others: children come before their parents. */
  readonly mark: readonly number[];
  readonly unmark: readonly number[];
  readonly sweep: readonly number[];
  /** Nothing needs them, but this run has done its share, or their notice is not over. */
  readonly waiting: number;
}

/** References may fall by half from run to run, where there were at least so many. */
const FEW_REFERENCES = 10;

/** Why each image is kept: an index into `KEEP_REASONS` plus one, or 0. */
export function keepReasons(view: RetentionView, policy: RetentionPolicy, nowMs: number): Uint8Array {
  const reasons = new Uint8Array(view.there.length);
  const keep = (number: number, reason: KeepReason): void => {
    if (view.there[number] === 1 && reasons[number] === 0) reasons[number] = KEEP_REASONS.indexOf(reason) + 1;
  };
  for (const number of view.heldByChannels) keep(number, 'channel');
  for (const number of view.runByGroups) keep(number, 'group');
  for (const number of view.inReachOfRollback) keep(number, 'release');
  const unusedSinceMs = nowMs - policy.unusedMs;
  for (let number = 1; number < view.there.length; number += 1) {
    if (view.pinned[number] === 1) keep(number, 'pinned');
    else if ((view.neededAtMs[number] ?? nowMs) > unusedSinceMs) keep(number, 'young');
  }
  // A parent has a smaller number than its child, so one way down reaches every ancestor.
  for (let number = view.there.length - 1; number > 0; number -= 1) {
    if (reasons[number] !== 0) keep(view.parent[number] ?? 0, 'ancestor');
  }
  return reasons;
}

export function decideRetention(
  view: RetentionView,
  policy: RetentionPolicy,
  nowMs: number,
): RetentionDecision {
  const reasons = keepReasons(view, policy, nowMs);
  const images = view.there.reduce((sum, one) => sum + one, 0);
  const share = Math.max(1, Math.floor(images * policy.share));
  const [mark, unmark, sweep]: [number[], number[], number[]] = [[], [], []];
  /** Has a child that stays for now. */
  const hasChild = new Uint8Array(view.there.length);
  let waiting = 0;
  for (let number = view.there.length - 1; number > 0; number -= 1) {
    if (view.there[number] !== 1) continue;
    const sweepAfterMs = view.sweepAfterMs[number] ?? 0;
    const isDue = sweepAfterMs !== 0 && sweepAfterMs <= nowMs && hasChild[number] === 0;
    if (reasons[number] !== 0) {
      if (sweepAfterMs !== 0) unmark.push(number);
    } else if (sweepAfterMs === 0 && mark.length < share) mark.push(number);
    else if (isDue && sweep.length < Math.min(share, policy.sweptAtMost)) {
      sweep.push(number);
      continue;
    } else waiting += 1;
    hasChild[view.parent[number] ?? 0] = 1;
  }
  const references = view.heldByChannels.length + view.runByGroups.length + view.inReachOfRollback.length;
  const refused = refusal(view, policy, nowMs, images, references);
  const found = { images, references, kept: countReasons(reasons) };
  if (refused !== undefined) return { refused, ...found, mark: [], unmark: [], sweep: [], waiting: 0 };
  return { ...found, mark, unmark, sweep, waiting };
}

function refusal(
  view: RetentionView,
  policy: RetentionPolicy,
  nowMs: number,
  images: number,
  references: number,
): string | undefined {
  const seenAgoMs = nowMs - view.usesSeenAtMs;
  if (seenAgoMs > policy.staleMs) return 'what runs was not looked at for too long: the view is stale';
  if (images > 0 && references === 0)
    return 'no channel, server group or release names any image: the view is suspiciously empty';
  if (view.lastReferences >= FEW_REFERENCES && references < view.lastReferences / 2) {
    return `only ${references} references are left of ${view.lastReferences} in the last run: the view is suspiciously empty`;
  }
  return undefined;
}

function countReasons(reasons: Uint8Array): Record<KeepReason, number> {
  const kept = { channel: 0, group: 0, release: 0, pinned: 0, young: 0, ancestor: 0 };
  for (const reason of reasons) {
    const name = KEEP_REASONS[reason - 1];
    if (name !== undefined) kept[name] += 1;
  }
  return kept;
}

/**
 * Of one service's releases those that something may still turn to: what serves, the newest (it may be about to be
 * deployed), both ends of an open deployment, as many as rollbacks one after the other go through, and as many that
 * served last, which a rollback may name.
 */
export function releasesInReach<Past extends PastRelease>(
  releases: readonly Past[],
  serving: ReleaseNumber | null,
  open: readonly ReleaseNumber[],
  kept: number,
): readonly Past[] {
  const newest = Math.max(0, ...releases.map((one) => one.number));
  const served = rollbackOrder(
    releases.filter((one) => one.number !== serving),
    Number.POSITIVE_INFINITY,
  );
  const inReach = new Set([...served.slice(0, kept), ...rollbackOrder(releases, serving).slice(0, kept)]);
  return releases.filter(
    (one) => one.number === serving || one.number === newest || open.includes(one.number) || inReach.has(one),
  );
}

/** The same time of day, so many working days (Monday to Friday, UTC) later. */
export function afterWorkingDays(atMs: number, days: number): number {
  let later = atMs;
  for (let left = days; left > 0; ) {
    later += DAY_MS;
    const weekday = new Date(later).getUTCDay();
    if (weekday !== 0 && weekday !== 6) left -= 1;
  }
  return later;
}
