import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fixture, openFixture, STOREFRONT } from '../../test/http/app-fixture.ts';
import { channelName } from '../domain/ids.ts';
import { type Image, imageState } from '../domain/image.ts';
import { type PromoteRequest, promote } from './promote.ts';
import { parseImageQuery } from './query-language.ts';
import { defaultImage, resolveImage } from './resolve-image.ts';

const PROVEN = channelName('proven');
const by = { actor: 'test', atMs: 1 };

let fixture: Fixture;
beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture.close());

const move = (image: Image, more: Partial<PromoteRequest> = {}) =>
  promote(fixture.store, { component: STOREFRONT, image, channel: PROVEN, why: 'test', ...more }, by);

describe('promotion', () => {
  test('never takes an image that failed a test inside it, whatever a later check says', async () => {
    const image = await fixture.image('1.0.0', true);
    const inside = { kind: 'in-image', where: 'bake/local', passedCount: 0, failures: [], atMs: 1 };
    await fixture.store.images.recordCheck(
      image.id,
      { ...inside, id: 'a', passed: false, failedCount: 1 },
      by,
    );
    await fixture.store.images.recordCheck(
      image.id,
      { ...inside, id: 'b', passed: true, failedCount: 0 },
      by,
    );
    const failed = await resolveImage(fixture.store, image.id);
    expect(imageState(failed)).toBe('failed');
    await expect(move(failed)).rejects.toMatchObject({
      code: 'image.unfit',
      message: /failed its tests inside the image/,
      next: expect.stringContaining('under a new version'),
    });
    const named = async (query: string) =>
      (await fixture.store.catalogue.search(parseImageQuery(query), { limit: 9 })).items.map(({ id }) => id);
    expect(await named('failed=true')).toEqual([image.id]);
    expect(await named('tested=true')).toEqual([]);
    await fixture.store.images.revoke(image.id, 'bad', by);
    expect(await named('failed=true')).toEqual([]);
  });

  test('takes only tested images, and says why not', async () => {
    const untested = await fixture.image('1.0.0', false);
    await expect(move(untested)).rejects.toMatchObject({ code: 'image.unfit', message: /never checked/ });
    const result = {
      id: 'c',
      kind: 'smoke',
      where: 'bake',
      passed: false,
      passedCount: 0,
      failedCount: 1,
      failures: [],
      atMs: 1,
    };
    await fixture.store.images.recordCheck(untested.id, result, by);
    await expect(move(await resolveImage(fixture.store, untested.id))).rejects.toMatchObject({
      message: /last check failed: smoke at bake/,
      next: 'See what failed: kiln images --image storefront@1.0.0',
    });
    expect(await fixture.store.channels.current(STOREFRONT, PROVEN)).toBeUndefined();
  });

  test('moves forward, back to what it held, and writes nothing when nothing moves', async () => {
    const [first, second] = [await reload('1.0.0'), await reload('2.0.0')];
    expect((await move(first)).moved).toBe(true);
    expect((await move(second)).moved).toBe(true);
    expect((await move(second)).moved).toBe(false);
    expect((await move(first)).moved).toBe(true);
    const history = await fixture.store.channels.history(STOREFRONT, PROVEN);
    expect(history.map((entry) => entry.image)).toEqual([first.id, second.id, first.id]);
  });

  test('never moves back to an image that it did not hold', async () => {
    const [older, newer] = [await reload('1.0.0'), await reload('2.0.0')];
    await move(newer);
    await expect(move(older)).rejects.toMatchObject({
      code: 'input.conflict',
      message: /back only to an image it held/,
    });
  });

  test('moves only from what was expected', async () => {
    const [first, second] = [await reload('1.0.0'), await reload('2.0.0')];
    await move(first);
    await expect(move(second, { expected: second.id })).rejects.toMatchObject({ code: 'input.conflict' });
    expect((await move(second, { expected: first.id })).moved).toBe(true);
  });

  test('in any order of promotions, each step is forward or to something held before', async () => {
    const images: Image[] = [];
    for (const version of ['1.0.0', '2.0.0', '3.0.0', '4.0.0']) images.push(await reload(version));
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...images), { maxLength: 8 }), async (order) => {
        turn += 1;
        const channel = channelName(`c${turn}`);
        for (const image of order) await move(image, { channel }).catch(() => undefined);
        const history = (await fixture.store.channels.history(STOREFRONT, channel)).toReversed();
        history.forEach((entry, index) => {
          const before = history.slice(0, index);
          const [now, last] = [entry.image, before.at(-1)?.image].map((id) =>
            images.findIndex((one) => one.id === id),
          );
          expect((now ?? 0) > (last ?? -1) || before.some((one) => one.image === entry.image)).toBe(true);
        });
      }),
      { numRuns: 40 },
    );
  });
});

describe('a channel with a policy', () => {
  test('takes an image once every demand is met, records upon what, and goes back without asking again', async () => {
    const golden = channelName('golden');
    const { channelPolicies, channels, images } = fixture.store;
    const [first, second] = [await reload('1.0.0'), await reload('2.0.0')];
    await move(first, { channel: golden });
    const policy = { checks: ['smoke', 'scan'], approvals: 1, after: { channel: PROVEN, heldMs: 1000 } };
    await channelPolicies.set(STOREFRONT, golden, policy, by);
    const at = (atMs: number, actor = 'test') => ({ actor, atMs });
    const promoted = async (atMs: number) =>
      promote(
        fixture.store,
        { component: STOREFRONT, image: (await images.get(second.id)) ?? second, channel: golden, why: 'x' },
        at(atMs),
      );
    await expect(promoted(1)).rejects.toMatchObject({ code: 'image.unfit', faults: { length: 3 } });
    await move(second);
    const scan = {
      id: 's',
      kind: 'scan',
      where: 'bake',
      passed: true,
      passedCount: 1,
      failedCount: 0,
      failures: [],
      atMs: 1,
    };
    await images.recordCheck(second.id, scan, by);
    await channelPolicies.approve(STOREFRONT, golden, second.id, 'mine', at(2));
    await expect(promoted(900)).rejects.toThrow(/0 of 1 approvals.*held it for 0 of 0 minutes/);
    await channelPolicies.approve(STOREFRONT, golden, second.id, 'fine', at(3, 'bob'));
    expect((await promoted(1001)).moved).toBe(true);
    const [newest] = await channels.history(STOREFRONT, golden);
    expect(newest?.evidence).toEqual({
      checks: ['c1', 's'],
      approvals: [{ by: 'bob', why: 'fine', atMs: 3 }],
      earlier: { channel: PROVEN, heldMs: 1000 },
    });
    expect((await move(first, { channel: golden })).moved).toBe(true);
    expect((await channels.history(STOREFRONT, golden))[0]).not.toHaveProperty('evidence');
  });
});

describe('an image reference', () => {
  test('is a version, a channel, an id, or the beginning of one', async () => {
    const image = await reload('1.0.0');
    await move(image);
    for (const text of ['storefront@1.0.0', 'storefront:proven', image.id, image.id.slice(0, -1)])
      expect((await resolveImage(fixture.store, text)).id, text).toBe(image.id);
  });

  test('that fits several, or none, says so', async () => {
    await reload('1.0.0');
    await reload('1.0.1');
    await expect(resolveImage(fixture.store, 'image-')).rejects.toMatchObject({
      message: /begins the ids of 2 images/,
    });
    for (const text of ['storefront@9', 'storefront:golden', 'image-zzz', 'i'])
      await expect(resolveImage(fixture.store, text), text).rejects.toMatchObject({ code: 'not-found' });
    await expect(resolveImage(fixture.store, 'Bad@1')).rejects.toMatchObject({ code: 'input.invalid' });
  });

  test('left out means what the channel holds, or the newest tested image', async () => {
    const choose = (channel?: typeof PROVEN) => defaultImage(fixture.store, STOREFRONT, () => channel);
    await expect(choose()).rejects.toMatchObject({ message: /no image of storefront/ });
    const tested = await reload('1.0.0');
    await fixture.image('2.0.0', false);
    expect((await choose()).id).toBe(tested.id);
    await expect(choose(PROVEN)).rejects.toMatchObject({ message: /holds nothing/ });
    await move(tested);
    expect((await choose(PROVEN)).id).toBe(tested.id);
  });
});

/** As the store gives it, with its checks. */
async function reload(version: string): Promise<Image> {
  return resolveImage(fixture.store, (await fixture.image(version)).id);
}
