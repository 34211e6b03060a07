/**
 * The same deaths on the other router and the other store, HAProxy and a real Postgres: a spread of the acts of a
 * deploy and a rollback, every kind of them, and the router and an instance killed.
 */
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { POSTGRES_MISSING, PrivatePostgres, postgresBinaries } from '../contracts/postgres.ts';
import { SUBJECTS } from '../contracts/router-subjects.ts';
import { CrashJourney, type Sweep } from './crash-journey.ts';
import type { Moment } from './crash-points.ts';
import { killInstance, killRouter } from './kills.ts';

const LIMIT_MS = 300_000;
const MOMENTS: readonly Moment[] = ['after', 'during', 'before'];
const EVERY_FOURTH_ACT: Sweep = {
  layer: 'acts',
  moments: (point) => (point % 4 === 1 ? [MOMENTS[((point - 1) / 4) % 3] ?? 'after'] : []),
};
const missing = [
  ...(postgresBinaries() === undefined ? [POSTGRES_MISSING] : []),
  ...SUBJECTS.flatMap((subject) => (subject.name === 'haproxy' ? (subject.missing ?? []) : [])),
];

function journeys(): void {
  let postgres: PrivatePostgres | undefined;
  let journey: CrashJourney;

  beforeAll(async () => {
    postgres = await PrivatePostgres.start();
    journey = await CrashJourney.begin({
      ...{ strategy: 'blue-green', keepWarm: '0s', instances: 2 },
      ...{ router: 'haproxy', databaseUrl: await postgres.database() },
    });
    await journey.prepare();
  }, LIMIT_MS);
  afterAll(async () => {
    try {
      await journey?.end();
    } finally {
      await postgres?.close();
    }
  });

  test('of a deploy', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(journey.deploy, EVERY_FOURTH_ACT)).toBeGreaterThan(20);
  });

  test('of a rollback', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(journey.rollback, EVERY_FOURTH_ACT)).toBeGreaterThan(15);
  });

  test('of whatever kind it is', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtMissedActs(journey.deploy)).toEqual([]);
  });

  test('and no request failed', async () => {
    await journey.noRequestFailed();
  });

  test('the router killed: only what is in flight on it fails', { timeout: LIMIT_MS }, async () => {
    for (const kill of [1, 2]) await killRouter(journey, Math.random, `kill ${kill} of the router`);
  });

  test('an instance killed: only what is in flight on it fails', { timeout: LIMIT_MS }, async () => {
    await killInstance(journey, Math.random, 'the kill of an instance');
  });
}

if (missing.length === 0 || process.env.CI === 'true') {
  describe('a server that dies at every fourth act, with HAProxy and Postgres', journeys);
} else {
  it.skip(`a server that dies with HAProxy and Postgres: ${missing.join('; ')}`);
}
