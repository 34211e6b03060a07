/**
 * `kill -9` at moments that nobody chose, under load: of the server, of the router, of instances. The moments follow
 * from a seed that is printed; `KILN_FAULT_SEED` repeats one.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { processesOf, until } from '../e2e/kiln.ts';
import { CrashJourney, LOAD } from './crash-journey.ts';
import type { ServiceView } from './crash-kiln.ts';

const LIMIT_MS = 300_000;
const SERVER_KILLS = 30;
const ROUTER_KILLS = 5;
const INSTANCE_KILLS = 5;
/** Longer than a deploy takes, and the start of a server. */
const LONGEST_MS = 900;

const seed = Number(process.env.KILN_FAULT_SEED ?? randomInt(2 ** 31));

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function randomNumbers(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe(`killed at random moments (KILN_FAULT_SEED=${seed})`, () => {
  const random = randomNumbers(seed);
  let journey: CrashJourney;

  beforeAll(async () => {
    console.log(`KILN_FAULT_SEED=${seed}`);
    journey = await CrashJourney.begin({ strategy: 'blue-green', keepWarm: '0s', instances: 2 });
    await journey.prepare();
  });
  afterAll(() => journey.end());

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
    const { crash } = journey;
    for (let round = 1; round <= ROUTER_KILLS; round += 1) {
      const before = await journey.verify(`before kill ${round} of the router`);
      const address = await crash.address();
      const killed = await crash.routerPid();
      const load = await journey.startLoad();
      await sleep(random() * 300);
      process.kill(killed, 'SIGKILL');
      await until('another router serves', async () => {
        const answer = await crash.kiln.ask(crash.host).catch(() => undefined);
        return answer?.status === 200;
      });
      const during = await journey.stopLoad(load);
      // Nobody can answer while there is none; what was answered was answered well, and came from the right release.
      expect(Object.keys(during.failures).filter((why) => /status|short|time-out/.test(why))).toEqual([]);
      expect(await crash.address()).toBe(address);
      const afterwards = await journey.startLoad();
      const after = await journey.verify(`after kill ${round} of the router`);
      await sleep(300);
      const report = await journey.stopLoad(afterwards);
      expect(report.failures).toEqual({});
      expect(Object.keys(report.answers)).toEqual([String(after.serving?.release)]);
      expect(traffic(after)).toEqual(traffic(before));
    }
  });

  test('instances: only what is in flight on them fails, and they are replaced', {
    timeout: LIMIT_MS,
  }, async () => {
    const { crash } = journey;
    for (let round = 1; round <= INSTANCE_KILLS; round += 1) {
      const before = await journey.verify(`before kill ${round} of an instance`);
      const web = before.groups.find((group) => group.process === 'web' && group.weight > 0);
      const victim = web?.instances[Math.floor(random() * web.instances.length)]?.id ?? '';
      const load = await journey.startLoad();
      await sleep(random() * 300);
      for (const { pid } of await processesOf(`KILN_INSTANCE=${victim}\0`)) killQuietly(pid);
      await until('it has been replaced', async () => {
        const service = await crash.service();
        const group = service?.groups.find((one) => one.name === web?.name);
        const ids = group?.instances.filter((one) => one.ready).map((one) => one.id) ?? [];
        return ids.length === 2 && !ids.includes(victim);
      });
      await journey.verify(`after kill ${round} of an instance`);
      const report = await journey.stopLoad(load);
      // At most one request was in flight on each connection, and one on a new connection or two.
      expect(report.failed, JSON.stringify(report.failures)).toBeLessThanOrEqual(LOAD.connections + 2);
    }
  });
});

/** Who gets traffic, and how much of it. */
function traffic({ groups }: ServiceView): unknown {
  return groups.map(({ name, weight, instances }) => [name, weight, instances.map((one) => one.id)]);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // The rest of its tree ends with the first of it.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
