import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InstanceId, ServerGroupName } from '../../domain/ids.ts';
import { changesFor, mapChanges } from './changes.ts';
import type { HeldServer } from './held.ts';
import type { WantedServer } from './wanted.ts';

const wanted = (name: string, more: Partial<WantedServer> = {}): WantedServer => ({
  backend: 'kiln-b0001',
  name,
  instance: name as InstanceId,
  group: 'g' as ServerGroupName,
  groupWeight: 100,
  address: '127.0.0.1:1',
  intervalMs: 1_000,
  draining: false,
  ...more,
});
const held = (name: string, more: Partial<HeldServer> = {}): HeldServer => ({
  backend: 'kiln-b0001',
  name,
  address: '127.0.0.1:1',
  isRunning: true,
  hasPassed: true,
  isParked: false,
  isDrained: false,
  weight: 256,
  sessions: 0,
  ...more,
});
const commands = (has: HeldServer[], wants: WantedServer[]) => {
  const { arrivals, departures } = changesFor(has, wants);
  return [...arrivals, ...departures];
};

describe('changesFor', () => {
  it('adds a server drained and checked, never ready', () => {
    const added = commands([], [wanted('a')]);
    expect(added[0]).toMatch(/^add server kiln-b0001\/a 127\.0\.0\.1:1 weight 256 check inter 1000ms /);
    expect(added.slice(1)).toEqual(['set server kiln-b0001/a state drain', 'enable health kiln-b0001/a']);
  });

  it('admits it only after a passed check', () => {
    const unchecked = held('a', { isDrained: true, hasPassed: false });
    expect(changesFor([unchecked], [wanted('a')])).toMatchObject({ arrivals: [], awaited: 1 });
    expect(commands([held('a', { isDrained: true, isRunning: false })], [wanted('a')])).toEqual([]);
    expect(changesFor([held('a', { isDrained: true })], [wanted('a')])).toMatchObject({
      arrivals: ['set server kiln-b0001/a state ready'],
      awaited: 0,
    });
  });

  it('checks a server that comes back as if it were new', () => {
    expect(commands([held('a', { isParked: true })], [wanted('a')])).toEqual([
      'set server kiln-b0001/a health down',
      'set server kiln-b0001/a weight 256',
      'set server kiln-b0001/a state drain',
      'enable health kiln-b0001/a',
    ]);
  });

  it('weighs one that is being checked at the moment as before', () => {
    const has = [held('a', { hasPassed: false }), held('b'), held('c', { weight: 128 })];
    const group = 'h' as ServerGroupName;
    const wants = [wanted('a'), wanted('b'), wanted('c', { group, groupWeight: 25 })];
    expect(commands(has, wants)).toEqual([]);
  });

  it('drains one that leaves, and deletes it once nothing is in flight', () => {
    expect(commands([held('a', { sessions: 1 })], [])).toEqual(['set server kiln-b0001/a state drain']);
    expect(commands([held('a', { isDrained: true, sessions: 1 })], [])).toEqual([]);
    expect(commands([held('a', { isDrained: true })], [])).toEqual([
      'set server kiln-b0001/a state maint',
      'del server kiln-b0001/a',
    ]);
  });

  it('leaves alone what is as it should be', () => {
    expect(changesFor([held('a')], [wanted('a')])).toEqual({
      arrivals: [],
      departures: [],
      awaited: 0,
      leaving: [],
    });
  });

  it('gives before it takes', () => {
    const has = [held('old'), held('new', { weight: 0 })];
    const wants = [
      wanted('old', { groupWeight: 0 }),
      wanted('new', { group: 'h' as ServerGroupName, groupWeight: 100 }),
    ];
    expect(commands(has, wants)).toEqual([
      'set server kiln-b0001/new weight 256',
      'set server kiln-b0001/old weight 0',
    ]);
  });

  it('keeps somebody serving at every moment, when somebody serves before and after', () => {
    const server = fc.record({
      weight: fc.constantFrom(0, 128, 256),
      isDrained: fc.boolean(),
      hasPassed: fc.boolean(),
      isHeld: fc.boolean(),
      isWanted: fc.boolean(),
      groupWeight: fc.constantFrom(0, 10, 100),
      draining: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(server, { maxLength: 6 }), (servers) => {
        const has = servers.flatMap((each, index) => (each.isHeld ? [held(`s${index}`, each)] : []));
        const wants = servers.flatMap((each, index) =>
          each.isWanted ? [wanted(`s${index}`, { ...each, group: `g${index}` as ServerGroupName })] : [],
        );
        const serving = new Map(has.map((each) => [each.name, !each.isDrained && each.weight > 0]));
        const weights = new Map(has.map((each) => [each.name, each.weight]));
        const states = new Map(has.map((each) => [each.name, each.isDrained ? 'drain' : 'ready']));
        const counts = [[...serving.values()].filter(Boolean).length];
        for (const command of commands(has, wants)) {
          const [, name = '', what, value = ''] =
            /^set server kiln-b0001\/(\S+) (weight|state) (\S+)/.exec(command) ?? [];
          if (what === 'weight') weights.set(name, Number(value));
          if (what === 'state') states.set(name, value);
          const now = [...states].filter(
            ([each, state]) => state === 'ready' && (weights.get(each) ?? 0) > 0,
          );
          counts.push(now.length);
        }
        const first = counts[0] ?? 0;
        const last = counts.at(-1) ?? 0;
        expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.min(first, last));
      }),
    );
  });
});

describe('mapChanges', () => {
  it('brings any map to any other, touching only what differs', () => {
    const entries = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2'));
    fc.assert(
      fc.property(entries, entries, (from, to) => {
        const map = new Map<string, string>(Object.entries(from));
        for (const command of mapChanges('m', map, new Map(Object.entries(to)))) {
          const [verb, , , key = '', value = ''] = command.split(' ');
          expect(verb === 'add').toBe(verb === 'add' && !Object.hasOwn(from, key));
          if (verb === 'del') map.delete(key);
          else map.set(key, value);
        }
        expect(Object.fromEntries(map)).toEqual(to);
      }),
    );
  });
});
