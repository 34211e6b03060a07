import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, openFixture, STOREFRONT } from '../../test/http/app-fixture.ts';
import { channelName, componentName, type ImageId } from '../domain/ids.ts';
import type { ChannelMove, Image } from '../domain/image.ts';
import { goBack, heldBefore } from './go-back.ts';
import { promote } from './promote.ts';
import { standingOf } from './standing.ts';

const GOLDEN = channelName('golden');
const by = { actor: 'ann', atMs: 2 };

let fixture: Fixture;
beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture.close());

async function tested(version: string): Promise<Image> {
  const { id } = await fixture.image(version);
  const image = await fixture.store.images.get(id);
  if (image === undefined) throw new Error('it was made just now');
  return image;
}

const move = (image: Image) =>
  promote(fixture.store, { component: STOREFRONT, image, channel: GOLDEN, why: 'test' }, by);
const back = () => goBack(fixture.store, { component: STOREFRONT, channel: GOLDEN, why: 'it leaks' }, by);

test('going back again and again goes the way back, over what is revoked, and ends', async () => {
  const [one, two, three] = [await tested('1.0.0'), await tested('2.0.0'), await tested('3.0.0')];
  for (const image of [one, two, three]) await move(image);
  expect((await back()).move).toMatchObject({ image: two.id, previous: three.id, why: 'it leaks' });
  expect((await back()).move.image).toBe(one.id);
  await expect(back()).rejects.toMatchObject({ code: 'rollback.nothing' });
  await move(three);
  await fixture.store.images.revoke(one.id, 'a hole', by);
  await expect(back()).rejects.toMatchObject({ code: 'rollback.nothing' });
  expect((await fixture.store.channels.current(STOREFRONT, GOLDEN))?.image).toBe(three.id);
});

test('from any history the way back names each image once, never the present one, and comes to an end', () => {
  const moves = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(moves, (images) => {
      const history = images.map(
        (image): ChannelMove => ({
          component: componentName('web'),
          channel: GOLDEN,
          image: image as ImageId,
          by: 'a',
          why: 'x',
          atMs: 1,
        }),
      );
      const way = heldBefore(history);
      expect(new Set(way).size).toBe(way.length);
      expect(way).not.toContain(history[0]?.image);
      const [next] = way;
      if (next === undefined) return;
      const [newest] = history;
      if (newest === undefined) return;
      expect(heldBefore([{ ...newest, image: next }, ...history])).toEqual(way.slice(1));
    }),
  );
});

test('what an image lacks is said for each channel, by the server and by its own file; the file takes nothing away', async () => {
  const image = await tested('1.0.0');
  const { store } = fixture;
  await store.channelPolicies.set(STOREFRONT, GOLDEN, { checks: ['scan'], approvals: 0 }, by);
  const own = { checks: ['in-image'], approvals: 1 };
  const [proven, beta] = [channelName('proven'), channelName('beta')];
  const definition = {
    ...image.definition,
    channels: { [GOLDEN]: own, [beta]: { checks: [], approvals: 0 } },
  };
  await store.channelPolicies.set(STOREFRONT, proven, { checks: [], approvals: 0 }, by);
  const standing = await standingOf(store, { ...image, definition }, by);
  expect(standing.map(({ channel, missing }) => [channel, missing])).toEqual([
    ['beta', []],
    [
      'golden',
      [
        'it has had no check of kind scan',
        'it has had no check of kind in-image',
        '0 of 1 approvals by others than ann are there',
      ],
    ],
    ['proven', []],
  ]);
  expect(standing[1]).toMatchObject({ policy: { checks: ['scan'] }, own });
  // A file that demands nothing loosens nothing.
  const lax = { ...image.definition, channels: { [GOLDEN]: { checks: [], approvals: 0 } } };
  await expect(move({ ...image, definition: lax })).rejects.toMatchObject({
    code: 'image.unfit',
    faults: [{ message: 'it has had no check of kind scan' }],
  });
});
