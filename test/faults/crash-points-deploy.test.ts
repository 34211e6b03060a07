/** `kill -9` of the server at every store write and every outside act of a deploy and a rollback, under load. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CrashJourney, type Sweep } from './crash-journey.ts';

const LIMIT_MS = 300_000;
/**
 * Right after each act; at every fourth one moreover during or before it. Before an act is the same as after the one
 * before, but for what goes on beside them.
 */
const EVERY_ACT: Sweep = {
  layer: 'acts',
  moments: (point) => (point % 4 !== 0 ? ['after'] : ['after', point % 8 === 0 ? 'before' : 'during']),
};

describe('a server that dies at every act, one release replacing the other at once', () => {
  let journey: CrashJourney;

  beforeAll(async () => {
    journey = await CrashJourney.begin({ strategy: 'blue-green', keepWarm: '0s', instances: 2 });
    await journey.prepare();
  }, LIMIT_MS);
  afterAll(() => journey?.end());

  test('of a deploy', { timeout: LIMIT_MS }, async () => {
    const acts = await journey.dieAtEachPoint(journey.deploy, EVERY_ACT);
    expect(acts).toBeGreaterThan(20);
  });

  test('of a rollback', { timeout: LIMIT_MS }, async () => {
    const acts = await journey.dieAtEachPoint(journey.rollback, EVERY_ACT);
    expect(acts).toBeGreaterThan(15);
  });

  test('of whatever kind it is', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtMissedActs(journey.deploy)).toEqual([]);
  });

  test('and no request failed', async () => {
    await journey.noRequestFailed();
  });
});
