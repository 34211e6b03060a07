import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  afterWorkingDays,
  DEFAULT_RETENTION,
  decideRetention,
  KEEP_REASONS,
  keepReasons,
  type RetentionView,
  releasesInReach,
} from './retention.ts';
import { rollbackOrder } from './rollback.ts';

const DAY_MS = 24 * 3600 * 1000;
const NOW = 1_000 * DAY_MS;
const policy = { ...DEFAULT_RETENTION, share: 0.4, sweptAtMost: 6 };

const member = fc.record({
  there: fc.boolean(),
  parent: fc.nat({ max: 30 }),
  ageDays: fc.integer({ min: 0, max: 100 }),
  pinned: fc.integer({ min: 0, max: 12 }).map((n) => n === 0),
  marked: fc.constantFrom(0, NOW - DAY_MS, NOW + DAY_MS),
});
const references = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 });

const views: fc.Arbitrary<RetentionView> = fc
  .tuple(fc.array(member, { minLength: 1, maxLength: 40 }), references, references, references)
  .map(([members, heldByChannels, runByGroups, inReachOfRollback]) => {
    const all = [undefined, ...members];
    const of = <List extends Uint8Array | Int32Array | Float64Array>(
      list: List,
      read: (n: number) => number,
    ): List => {
      for (let n = 1; n < all.length; n += 1) list[n] = read(n);
      return list;
    };
    const there = of(new Uint8Array(all.length), (n) => Number(all[n]?.there ?? false));
    return {
      there,
      parent: of(new Int32Array(all.length), (n) => {
        const parent = (all[n]?.parent ?? 0) % n;
        return there[parent] === 1 ? parent : 0;
      }),
      neededAtMs: of(new Float64Array(all.length), (n) => NOW - (all[n]?.ageDays ?? 0) * DAY_MS),
      pinned: of(new Uint8Array(all.length), (n) => Number(all[n]?.pinned ?? false)),
      sweepAfterMs: of(new Float64Array(all.length), (n) => all[n]?.marked ?? 0),
      heldByChannels,
      runByGroups,
      inReachOfRollback,
      usesSeenAtMs: NOW - 1000,
      lastReferences: 0,
    };
  });

function ancestors(view: RetentionView, number: number): number[] {
  const found: number[] = [];
  for (let at = view.parent[number] ?? 0; at !== 0; at = view.parent[at] ?? 0) found.push(at);
  return found;
}

describe('the decision', () => {
  test('never touches what is needed, nor an ancestor of it, nor what has had no notice, nor more than its share', () => {
    fc.assert(
      fc.property(views, (view) => {
        const decision = decideRetention(view, policy, NOW);
        const needed = new Set<number>([
          ...view.heldByChannels,
          ...view.runByGroups,
          ...view.inReachOfRollback,
        ]);
        for (let n = 1; n < view.there.length; n += 1) {
          if (view.pinned[n] === 1 || (view.neededAtMs[n] ?? 0) > NOW - policy.unusedMs) needed.add(n);
        }
        for (const n of [...needed])
          if (view.there[n] === 1) for (const one of ancestors(view, n)) needed.add(one);
        const limit = Math.max(1, Math.floor(decision.images * policy.share));
        for (const [n, list] of [...decision.mark, ...decision.sweep].entries()) {
          expect(needed.has(list), `${n}: ${list}`).toBe(false);
          expect(view.there[list]).toBe(1);
        }
        expect(decision.mark.length).toBeLessThanOrEqual(limit);
        expect(decision.sweep.length).toBeLessThanOrEqual(Math.min(limit, policy.sweptAtMost));
        for (const n of decision.sweep) {
          const after = view.sweepAfterMs[n] ?? 0;
          expect(after > 0 && after <= NOW).toBe(true);
        }
        for (const n of decision.mark) expect(view.sweepAfterMs[n]).toBe(0);
        for (const n of decision.unmark) expect(needed.has(n) && view.sweepAfterMs[n] !== 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test('sweeps a parent only together with, and after, all of its children', () => {
    fc.assert(
      fc.property(views, (view) => {
        const { sweep } = decideRetention(view, policy, NOW);
        for (const [at, number] of sweep.entries()) {
          for (let child = 1; child < view.there.length; child += 1) {
            if (view.there[child] !== 1 || view.parent[child] !== number) continue;
            const childAt = sweep.indexOf(child);
            expect(childAt >= 0 && childAt < at).toBe(true);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('accounts for every image, and leaves none waiting for ever', () => {
    fc.assert(
      fc.property(views, (view) => {
        const decision = decideRetention(view, policy, NOW);
        if (decision.refused !== undefined) return;
        const kept = Object.values(decision.kept).reduce((sum, one) => sum + one, 0);
        expect(kept + decision.mark.length + decision.sweep.length + decision.waiting).toBe(decision.images);
        // Run after run, with time going on and nothing else, all that is not kept goes.
        const there = view.there.slice();
        const sweepAfterMs = view.sweepAfterMs.slice();
        for (let run = 1; run <= 120; run += 1) {
          const next = decideRetention(
            { ...view, there, sweepAfterMs, usesSeenAtMs: NOW },
            policy,
            NOW + run,
          );
          for (const n of next.mark) sweepAfterMs[n] = NOW;
          for (const n of next.sweep) there[n] = 0;
          for (let n = 1; n < there.length; n += 1) if ((sweepAfterMs[n] ?? 0) > 0) sweepAfterMs[n] = NOW;
        }
        const left = keepReasons({ ...view, there }, policy, NOW);
        for (let n = 1; n < there.length; n += 1) if (there[n] === 1) expect(left[n]).not.toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('decides nothing on a view that is stale or suspiciously empty', () => {
    fc.assert(
      fc.property(views, (view) => {
        const nothing = { mark: [], unmark: [], sweep: [] };
        expect(decideRetention({ ...view, usesSeenAtMs: NOW - 2 * DAY_MS }, policy, NOW)).toMatchObject({
          ...nothing,
          refused: expect.stringMatching(/stale/),
        });
        const none = { heldByChannels: [], runByGroups: [], inReachOfRollback: [] };
        const empty = decideRetention({ ...view, ...none }, policy, NOW);
        if (empty.images > 0)
          expect(empty).toMatchObject({ ...nothing, refused: expect.stringMatching(/empty/) });
        expect(decideRetention({ ...view, lastReferences: 30 }, policy, NOW).refused).toMatch(/empty/);
      }),
      { numRuns: 100 },
    );
  });
});

test('every reason is told', () => {
  const view: RetentionView = {
    there: Uint8Array.of(0, 1, 1, 1, 1, 1, 1, 1),
    parent: Int32Array.of(0, 0, 1, 0, 0, 0, 0, 0),
    neededAtMs: Float64Array.of(0, 0, 0, 0, 0, 0, NOW, 0),
    pinned: Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0),
    sweepAfterMs: new Float64Array(8),
    heldByChannels: [2],
    runByGroups: [3],
    inReachOfRollback: [4],
    usesSeenAtMs: NOW,
    lastReferences: 3,
  };
  const told = [...keepReasons(view, policy, NOW)].map((reason) => KEEP_REASONS[reason - 1]);
  expect(told).toEqual([undefined, 'ancestor', 'channel', 'group', 'release', 'pinned', 'young', undefined]);
  expect(decideRetention(view, policy, NOW).mark).toEqual([7]);
});

test('a rollback can reach what serves, what served last, the newest, and both ends of a deployment', () => {
  const release = (number: number, servedAtMs: number | null, bad = false) => ({ number, servedAtMs, bad });
  const all = [
    release(1, 10),
    release(2, 30),
    release(3, 20),
    release(4, 40, true),
    release(5, null),
    release(6, 50),
    release(7, null),
  ];
  expect(releasesInReach(all, 6, [5], 2).map((one) => one.number)).toEqual([2, 3, 5, 6, 7]);
  expect(releasesInReach([], null, [], 2)).toEqual([]);
});

test('whatever rollbacks go through, one after the other, is in reach from the beginning', () => {
  const past = fc.record({
    servedAtMs: fc.option(fc.integer({ min: 1, max: 1000 })),
    bad: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  });
  const count = fc.integer({ min: 0, max: 30 });
  fc.assert(
    fc.property(fc.array(past, { minLength: 1, maxLength: 30 }), count, (all, at) => {
      const releases = all.map((one, index) => ({ ...one, number: index + 1 }));
      let serving = Math.min(at, releases.length);
      const inReach = releasesInReach(releases, serving, [], 10);
      for (let times = 0; times < 10; times += 1) {
        const [next] = rollbackOrder(releases, serving);
        if (next === undefined) return;
        expect(next.number).toBeLessThan(serving);
        expect(inReach).toContain(next);
        serving = next.number;
      }
    }),
    { numRuns: 1000 },
  );
});

test('a notice counts working days', () => {
  const at = (day: string) => Date.parse(`${day}T10:00:00Z`);
  expect(afterWorkingDays(at('2026-11-20'), 3)).toBe(at('2026-11-25'));
  expect(afterWorkingDays(at('2026-11-21'), 1)).toBe(at('2026-11-23'));
  expect(afterWorkingDays(at('2026-11-16'), 3)).toBe(at('2026-11-19'));
});
