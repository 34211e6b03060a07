/** `kill -9` of the server at every store write and every outside act, one instance replaced after the other, under load. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CrashJourney, type Sweep } from './crash-journey.ts';
import type { Moment } from './crash-points.ts';

const LIMIT_MS = 300_000;
/** Steps repeat themselves from one instance to the next: every other act, by turns during and after it. */
const EVERY_OTHER_ACT: Sweep = {
  layer: 'acts',
  moments: (point) => (point % 2 === 0 ? [point % 4 === 0 ? 'after' : 'during'] : []),
};
const MOMENTS: readonly Moment[] = ['before', 'during', 'after'];
/** There are many, and most are alike. */
const EVERY_SEVENTH_FILE: Sweep = {
  layer: 'files',
  moments: (point) => (point % 7 === 0 ? [MOMENTS[(point / 7) % 3] ?? 'after'] : []),
};

describe('a server that dies at every act, what was replaced being kept warm', () => {
  let journey: CrashJourney;

  beforeAll(async () => {
    journey = await CrashJourney.begin({ strategy: 'rolling', keepWarm: '10m', instances: 2 });
    await journey.prepare();
  }, LIMIT_MS);
  afterAll(() => journey?.end());

  test('of a rolling deploy', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(journey.deploy, EVERY_OTHER_ACT)).toBeGreaterThan(20);
  });

  test('of a rollback to what is warm', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(journey.rollback, EVERY_OTHER_ACT, journey.deploy)).toBeGreaterThan(
      8,
    );
  });

  test('of files and processes beneath a deploy', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(journey.deploy, EVERY_SEVENTH_FILE)).toBeGreaterThan(20);
  });

  test('and no request failed', async () => {
    await journey.noRequestFailed();
  });
});
