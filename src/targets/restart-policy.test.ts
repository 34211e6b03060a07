import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delayMs, type InstanceEnd, NO_HISTORY, RESTART_LIMITS, recordEnd } from './restart-policy.ts';

const limits = RESTART_LIMITS;

function end(startedAtMs: number, livedMs: number, more: Partial<InstanceEnd> = {}): InstanceEnd {
  return {
    startedAtMs,
    endedAtMs: startedAtMs + livedMs,
    othersUp: false,
    blame: true,
    why: 'code 1',
    ...more,
  };
}

/** Instances that live so long each, every next one started as soon as the policy allows. */
function chain(lives: readonly number[], more: Partial<InstanceEnd> = {}) {
  let history = NO_HISTORY;
  let now = 1_000_000;
  for (const lived of lives) {
    history = recordEnd(history, end(now, lived, more));
    now = Math.max(now + lived, history.notBeforeMs);
  }
  return history;
}

describe('the wait before a replacement', () => {
  test('is nothing at first, then doubles to its limit', () => {
    expect([1, 2, 3, 4, 5].map((rounds) => delayMs(rounds))).toEqual([0, 500, 1000, 2000, 4000]);
    expect(delayMs(1000)).toBe(limits.maxDelayMs);
  });

  test('never shrinks with more rounds', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), (a, b) => {
        expect(delayMs(Math.min(a, b))).toBeLessThanOrEqual(delayMs(Math.max(a, b)));
      }),
    );
  });
});

describe('the verdict', () => {
  test('falls after five ends in a row before coming up', () => {
    expect(chain([100, 100, 100, 100]).bad).toBeUndefined();
    expect(chain([100, 100, 100, 100, 100]).bad).toContain('code 1');
  });

  test('falls later for what comes up and dies again and again', () => {
    const lived = limits.upAfterMs + 1;
    expect(chain(new Array(9).fill(lived)).bad).toBeUndefined();
    expect(chain(new Array(10).fill(lived)).bad).toBeDefined();
  });

  test('never falls on a group that once was stable, however it dies later', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200_000), { maxLength: 40 }), (lives) => {
        expect(chain([limits.stableAfterMs, ...lives]).bad).toBeUndefined();
      }),
    );
  });

  test('never falls for what the release is not to blame for', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1_000), { maxLength: 40 }), (lives) => {
        expect(chain(lives, { blame: false }).bad).toBeUndefined();
      }),
    );
  });

  test('stays until the group is asked for afresh', () => {
    const bad = chain([1, 1, 1, 1, 1]);
    expect(recordEnd(bad, end(2_000_000, 90_000)).bad).toBe(bad.bad);
  });

  test('is no nearer for a large group that dies at once than for a single instance', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 4 }), (size, rounds) => {
        let history = NO_HISTORY;
        let now = 1_000_000;
        for (let round = 0; round < rounds; round += 1) {
          for (let index = 0; index < size; index += 1) history = recordEnd(history, end(now, 100 + index));
          now = Math.max(now + 100 + size, history.notBeforeMs);
        }
        expect(history.bad).toBeUndefined();
        expect(history.rounds).toBe(rounds);
      }),
    );
  });
});

test('a stable minute lets the past be forgotten', () => {
  const tired = chain([100, 100, 100]);
  const later = recordEnd(tired, end(tired.notBeforeMs, limits.stableAfterMs));
  expect(later).toMatchObject({ rounds: 1, earlyRounds: 0, proven: true });
  expect(later.notBeforeMs).toBe(later.roundAtMs);
});
