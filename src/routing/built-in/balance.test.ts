import fc from 'fast-check';
import { expect, it } from 'vitest';
import { leastBusy, nextGroup } from './balance.ts';

const weights = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 5 });

it('picks each group exactly its weight’s times in every round', () => {
  fc.assert(
    fc.property(weights, (given) => {
      const groups = given.map((weight) => ({ weight, credit: 0, picked: 0 }));
      const total = given.reduce((sum, weight) => sum + weight, 0);
      for (let pick = 0; pick < total * 3; pick++) {
        const group = nextGroup(groups, () => true);
        if (group !== undefined) group.picked++;
      }
      expect(groups.map((group) => group.picked)).toEqual(given.map((weight) => weight * 3));
    }),
  );
});

it('never picks a group that cannot serve, and always one that can', () => {
  fc.assert(
    fc.property(weights, fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), (given, serving) => {
      const groups = given.map((weight, index) => ({ weight, credit: 0, serves: serving[index] === true }));
      const picked = nextGroup(groups, (group) => group.serves);
      const canAny = groups.some((group) => group.serves && group.weight > 0);
      expect(picked !== undefined).toBe(canAny);
      if (picked !== undefined) expect(picked.serves && picked.weight > 0).toBe(true);
    }),
  );
});

it('takes one with the fewest in flight, and turns among equals', () => {
  const endpoints = fc.array(fc.record({ inFlight: fc.nat(5), serves: fc.boolean() }), { maxLength: 6 });
  fc.assert(
    fc.property(endpoints, fc.nat(100), (given, turn) => {
      const picked = leastBusy(given, turn, (each) => each.serves);
      const serving = given.filter((each) => each.serves);
      expect(picked?.inFlight).toBe(
        serving.length === 0 ? undefined : Math.min(...serving.map((each) => each.inFlight)),
      );
    }),
  );
  const idle = [0, 1, 2].map((id) => ({ id, inFlight: 0 }));
  expect([0, 1, 2, 3].map((turn) => leastBusy(idle, turn, () => true)?.id)).toEqual([0, 1, 2, 0]);
});
