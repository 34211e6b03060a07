import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServiceKey } from '../../domain/ids.ts';
import { allocate, movedKey, newSlots, poolKey, SPARE_SLOTS } from './slots.ts';
import { routeKey, serverWeights } from './wanted.ts';

describe('serverWeights', () => {
  const server = fc.record({
    group: fc.constantFrom('g', 'h', 'i'),
    serves: fc.boolean(),
  });

  it('gives whole numbers up to 256, and something to whoever has a share', () => {
    fc.assert(
      fc.property(
        fc.array(server, { maxLength: 8 }),
        fc.array(fc.nat(1_000), { minLength: 3, maxLength: 3 }),
        (given, shares) => {
          const byGroup = { g: shares[0] ?? 0, h: shares[1] ?? 0, i: shares[2] ?? 0 };
          const servers = given.map((each, index) => ({
            ...each,
            name: `s${index}`,
            groupWeight: byGroup[each.group],
          }));
          const weights = serverWeights(servers);
          for (const each of servers) {
            const weight = weights.get(each.name) ?? -1;
            expect(Number.isInteger(weight) && weight >= 0 && weight <= 256).toBe(true);
            expect(weight > 0).toBe(each.groupWeight > 0);
          }
        },
      ),
    );
  });

  it('divides a group’s share among those that serve', () => {
    const servers = ['a', 'b', 'c'].map((name) => ({
      name,
      group: 'g',
      groupWeight: 90,
      serves: name !== 'c',
    }));
    const weights = serverWeights([...servers, { name: 'd', group: 'h', groupWeight: 10, serves: true }]);
    expect(Object.fromEntries(weights)).toEqual({ a: 256, b: 256, c: 256, d: 57 });
  });
});

it('routes are kept by whole segments', () => {
  expect([
    routeKey('A.Example:80', '/'),
    routeKey('a.example', '/api'),
    routeKey('a.example', '/api/'),
  ]).toEqual(['a.example/', 'a.example/api/', 'a.example/api/']);
});

describe('slots', () => {
  const key = (name: string) => poolKey(`${name}@test/local` as ServiceKey, 'web');

  it('gives each pool one of its kind, and keeps it', () => {
    const first = allocate(newSlots(0, 2_000), [{ key: key('a'), checkTimeoutMs: 2_000 }]);
    expect(first.grew).toBe(false);
    expect(first.slots[0]).toEqual({ backend: 'kiln-b0001', checkTimeoutMs: 2_000, pool: key('a') });
    expect(allocate(first.slots, [{ key: key('a'), checkTimeoutMs: 2_000 }]).slots).toEqual(first.slots);
  });

  it('makes more when a kind runs out, and never two of one name', () => {
    const pools = Array.from({ length: SPARE_SLOTS + 1 }, (_, n) => ({
      key: key(`s${n}`),
      checkTimeoutMs: 500,
    }));
    const { slots, grew } = allocate(newSlots(0, 2_000), pools);
    expect(grew).toBe(true);
    expect(new Set(slots.map((slot) => slot.backend)).size).toBe(slots.length);
    const held = slots.filter((slot) => slot.pool !== undefined);
    expect(new Set(held.map((slot) => slot.pool)).size).toBe(pools.length);
    expect(held.every((slot) => slot.checkTimeoutMs === 500)).toBe(true);
  });

  it('moves a pool whose checks take another time, and frees the old one later', () => {
    const first = allocate(newSlots(0, 2_000), [{ key: key('a'), checkTimeoutMs: 2_000 }]);
    const { slots } = allocate(first.slots, [{ key: key('a'), checkTimeoutMs: 500 }]);
    expect(slots[0]?.pool).toBe(movedKey(key('a')));
    expect(slots.find((slot) => slot.pool === key('a'))?.checkTimeoutMs).toBe(500);
  });
});
