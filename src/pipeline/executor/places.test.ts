import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Places } from './places.ts';

interface Asked {
  readonly number: number;
  readonly priority: number;
  readonly entered: () => boolean;
  readonly ended: PromiseWithResolvers<void>;
  readonly stop: AbortController;
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('ask' as const), priority: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ kind: fc.constantFrom('end' as const, 'abort' as const), which: fc.nat() }),
);

it('never more than there are places, each used while somebody waits, the more urgent first', async () => {
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step), async (count, steps) => {
    const places = new Places(count);
    let inside: Asked[] = [];
    let waiting: Asked[] = [];
    for (const [number, one] of steps.entries()) {
      if (one.kind === 'ask') {
        const [ended, stop] = [Promise.withResolvers<void>(), new AbortController()];
        let isIn = false;
        const { priority } = one;
        const done = places.within(priority, stop.signal, () => {
          isIn = true;
          return ended.promise;
        });
        done.catch(() => undefined);
        waiting.push({ number, priority, entered: () => isIn, ended, stop });
      } else if (one.kind === 'end') {
        const leaves = inside[one.which % (inside.length || 1)];
        leaves?.ended.resolve();
        inside = inside.filter((asked) => asked !== leaves);
      } else {
        const leaves = waiting[one.which % (waiting.length || 1)];
        leaves?.stop.abort(new Error('not wanted'));
        waiting = waiting.filter((asked) => asked !== leaves);
      }
      await nextTurn();
      const inTurn = waiting.toSorted((a, b) => b.priority - a.priority || a.number - b.number);
      const [next, rest] = [inTurn.slice(0, count - inside.length), inTurn.slice(count - inside.length)];
      expect(next.map((asked) => asked.entered())).toEqual(next.map(() => true));
      expect(rest.map((asked) => asked.entered())).toEqual(rest.map(() => false));
      inside = [...inside, ...next];
      waiting = rest;
    }
  });
  await fc.assert(property, { numRuns: 200 });
});
