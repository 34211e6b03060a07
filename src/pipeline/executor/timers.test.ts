import fc from 'fast-check';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Timers } from './timers.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

it('fires each at its very time, the last that was set for its key, and none that was cleared', () => {
  const act = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    inMs: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
    thenMs: fc.integer({ min: 0, max: 20 }),
  });
  const property = fc.property(fc.array(act), (acts) => {
    const fired: string[] = [];
    const timers = new Timers(Date.now, (key) => fired.push(`${key} ${Date.now()}`));
    const expected: string[] = [];
    const due = new Map<string, number>();
    const pass = (ms: number) => {
      vi.advanceTimersByTime(ms);
      for (const [key, atMs] of due) {
        if (atMs > Date.now()) continue;
        expected.push(`${key} ${atMs}`);
        due.delete(key);
      }
    };
    for (const { key, inMs, thenMs } of acts) {
      if (inMs === undefined) {
        timers.clear(key);
        due.delete(key);
      } else {
        timers.set(key, Date.now() + inMs);
        due.set(key, Date.now() + inMs);
      }
      pass(thenMs);
    }
    pass(100);
    expect(fired.toSorted()).toEqual(expected.toSorted());
    timers.close();
  });
  fc.assert(property);
});

it('notices that the clock was set, or the machine slept: nobody waits for longer than the clock says', () => {
  let setMs = 0;
  let fired = 0;
  const timers = new Timers(
    () => Date.now() + setMs,
    () => {
      fired += 1;
    },
  );
  timers.set('a', 3_600_000);
  vi.advanceTimersByTime(1_000);
  setMs = 3_600_000;
  vi.advanceTimersByTime(10_000);
  expect(fired).toBe(1);
  timers.close();
});
