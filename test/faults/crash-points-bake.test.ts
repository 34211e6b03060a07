/** `kill -9` of the server at every store write, every outside act and every change of a file of bake, check and promote. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CrashJourney, type Sweep } from './crash-journey.ts';
import type { Moment } from './crash-points.ts';

const LIMIT_MS = 300_000;
const MOMENTS: readonly Moment[] = ['after', 'during', 'before'];
const EVERY_ACT: Sweep = { layer: 'acts', moments: () => ['before', 'during', 'after'] };
const EVERY_OTHER_FILE_OF_BAKER: Sweep = {
  layer: 'baker',
  moments: (point) => (point % 2 === 0 ? [MOMENTS[(point / 2) % 3] ?? 'after'] : []),
};
const EVERY_SIXTH_FILE: Sweep = {
  layer: 'files',
  moments: (point) => (point % 6 === 0 ? [MOMENTS[(point / 6) % 3] ?? 'after'] : []),
};

describe('a server that dies on the way to an image', () => {
  let journey: CrashJourney;
  let count = 0;

  beforeAll(async () => {
    journey = await CrashJourney.begin({
      strategy: 'blue-green',
      keepWarm: '0s',
      instances: 1,
      worker: false,
    });
    await journey.prepare();
  }, LIMIT_MS);
  afterAll(() => journey?.end());

  /** Each time another source, so that each bake has all to do. */
  async function bakeAnother(): Promise<void> {
    count += 1;
    await journey.bake(`text-${count}`);
  }

  /** What the bake had not recorded when its server died is baked again, and is then there. */
  async function bakeAgain(): Promise<void> {
    expect(await journey.bake(`text-${count}`)).toBeDefined();
  }

  test('of a bake', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(bakeAnother, EVERY_ACT, bakeAgain)).toBeGreaterThan(0);
  });

  test('of files and processes beneath a bake', { timeout: LIMIT_MS }, async () => {
    expect(await journey.dieAtEachPoint(bakeAnother, EVERY_OTHER_FILE_OF_BAKER, bakeAgain)).toBeGreaterThan(
      20,
    );
  });

  test('of a check, and it can be made again', { timeout: LIMIT_MS }, async () => {
    const image = (await journey.bake('checked')) ?? '';
    const check = async (): Promise<void> => {
      await journey.check(image);
    };
    expect(await journey.dieAtEachPoint(check, EVERY_ACT)).toBeGreaterThan(3);
    expect(await journey.dieAtEachPoint(check, EVERY_SIXTH_FILE)).toBeGreaterThan(10);
  });

  test('of a promotion', { timeout: LIMIT_MS }, async () => {
    const image = (await journey.bake('promoted')) ?? '';
    await journey.check(image);
    const promote = async (): Promise<void> => {
      await journey.promote(image);
    };
    // Once the channel holds it, promoting changes nothing and passes no point.
    await journey.dieAtEachPoint(promote, EVERY_ACT);
    expect(await journey.promote(image)).toBe(true);
    expect(journey.crash.acknowledged.promotions).toBeGreaterThan(1);
  });

  test('of a token made', { timeout: LIMIT_MS }, async () => {
    const make = async (): Promise<void> => {
      await journey.token('another');
    };
    expect(await journey.dieAtEachPoint(make, EVERY_ACT)).toBe(1);
  });

  test('and no request failed', async () => {
    await journey.noRequestFailed();
  });
});
