/**
 * `kill -9` at moments that nobody chose, under load: of the server, of the router, of instances. The moments follow
 * from a seed that is printed; `KILN_FAULT_SEED` repeats one.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CrashJourney } from './crash-journey.ts';
import { killInstance, killRouter } from './kills.ts';
import { randomNumbers } from './random-numbers.ts';

const LIMIT_MS = 300_000;
const SERVER_KILLS = 30;
const ROUTER_KILLS = 5;
const INSTANCE_KILLS = 5;
/** Longer than a deploy takes, and the start of a server. */
const LONGEST_MS = 900;

const seed = Number(process.env.KILN_FAULT_SEED ?? randomInt(2 ** 31));

describe(`killed at random moments (KILN_FAULT_SEED=${seed})`, () => {
  const random = randomNumbers(seed);
  let journey: CrashJourney;

  beforeAll(async () => {
    console.log(`KILN_FAULT_SEED=${seed}`);
    journey = await CrashJourney.begin({ strategy: 'blue-green', keepWarm: '0s', instances: 2 });
    await journey.prepare();
  }, LIMIT_MS);
  afterAll(() => journey?.end());

  /** A crash soon after another one meets a server that is still picking up the pieces. */
  async function surviveKill(round: number): Promise<void> {
    const { crash } = journey;
    const phase = random() < 0.6 ? journey.deploy() : journey.rollback();
    await Promise.all([phase, sleep(random() * LONGEST_MS).then(() => crash.kill())]);
    await crash.start();
    if (random() < 0.4) {
      await sleep(random() * 300);
      await crash.kill();
      await crash.start();
    }
    await journey.verify(`kill ${round} of the server`);
  }

  test(`the server, ${SERVER_KILLS} times, and no request fails`, { timeout: LIMIT_MS }, async () => {
    for (let round = 1; round <= SERVER_KILLS; round += 1) await surviveKill(round);
    await journey.noRequestFailed();
  });

  test('the router: only what is in flight on it fails, and it comes back as it was', {
    timeout: LIMIT_MS,
  }, async () => {
    let failed = 0;
    for (let round = 1; round <= ROUTER_KILLS; round += 1) {
      failed += await killRouter(journey, random, `kill ${round} of the router`);
    }
    expect(failed).toBeGreaterThan(0);
  });

  test('instances: only what is in flight on them fails, and they are replaced', {
    timeout: LIMIT_MS,
  }, async () => {
    for (let round = 1; round <= INSTANCE_KILLS; round += 1) {
      await killInstance(journey, random, `kill ${round} of an instance`);
    }
  });
});
