import { expect, it } from 'vitest';
import { parseImageQuery } from '../../src/catalog/query-language.ts';
import type { ImageId } from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import type { Page } from '../../src/domain/page.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import { by, candidate, check, checkout, digestOf, image, storefront } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

export function imagesContract(underTest: () => StoreUnderTest): void {
  it('gives back the image as it was created, by id, version and input key', async () => {
    const { store } = underTest();
    const created = await store.images.create(image(1), by);
    expect(created).toEqual({ ...image(1), checks: [] });
    expect(await store.images.get(created.id)).toEqual(created);
    expect(await store.images.byVersion(storefront, '1.0.1')).toEqual(created);
    expect(await store.images.byInputKey(storefront, digestOf(1))).toEqual(created);
    expect(await store.images.byVersion(checkout, '1.0.1')).toBeUndefined();
    expect(await store.images.get('none' as ImageId)).toBeUndefined();
  });

  it('refuses a version that exists, and leaves no trace of the refused one', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    const again = { ...image(1), id: 'other' as ImageId };
    await expect(store.images.create(again, by)).rejects.toMatchObject({
      code: 'input.conflict',
      details: { image: image(1).id },
    });
    expect(await store.images.get(again.id)).toBeUndefined();
    expect(await store.events.revision()).toBe(1);
  });

  it('finds the newest image of an input key', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    await store.images.create({ ...image(2), inputKey: digestOf(1) }, by);
    expect((await store.images.byInputKey(storefront, digestOf(1)))?.id).toBe(image(2).id);
  });

  it('keeps every check result in order', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    await store.images.recordCheck(image(1).id, check(false), by);
    await store.images.recordCheck(image(1).id, check(true), by);
    expect((await store.images.get(image(1).id))?.checks).toEqual([check(false), check(true)]);
    await expect(store.images.recordCheck('none' as ImageId, check(true), by)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('changes tags: found by the new ones and no longer by the old, pinned while it says so, told once', async () => {
    const { store } = underTest();
    const [{ id }, other] = [
      await store.images.create(image(1), by),
      await store.images.create(image(2), by),
    ];
    const found = async (text: string) =>
      (await store.catalogue.search(parseImageQuery(text), { limit: 9 })).items.map((one) => one.id);
    const keptFor = () => store.janitor.keepReason(id, DEFAULT_RETENTION, by.atMs + 400 * 24 * 3600_000);
    const tagged = await store.images.tag(id, { env: 'stage', expires: 'never' }, by);
    expect(tagged).toEqual({
      ...image(1),
      tags: { ...image(1).tags, env: 'stage', expires: 'never' },
      checks: [],
    });
    expect(await store.images.get(id)).toEqual(tagged);
    expect(await found('env=stage')).toEqual([id]);
    expect(await keptFor()).toBe('pinned');
    await store.images.tag(id, { env: 'live', expires: null }, by);
    expect(await found('env=stage')).toEqual([]);
    expect(await found('expires=*')).toEqual([]);
    expect(await found('env!=stage')).toEqual([other.id, id]);
    expect(await found('env=live')).toEqual([id]);
    expect(await keptFor()).toBeUndefined();
    // Nothing that changes nothing is told, and what Kiln notes itself is its own.
    await store.images.tag(id, { env: 'live' }, by);
    expect((await store.events.after(0, 100)).filter((one) => one.kind === 'image.tagged')).toHaveLength(2);
    await expect(store.images.tag(id, { version: '9' }, by)).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(store.images.tag('none' as ImageId, {}, by)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('lists newest first, in pages that do not shift while images are added', async () => {
    const { store } = underTest();
    for (let n = 1; n <= 5; n += 1) await store.images.create(image(n), by);
    const seen: ImageId[] = [];
    let page: Page<Image> = await store.images.list({ component: storefront }, { limit: 2 });
    for (let n = 6; ; n += 1) {
      seen.push(...page.items.map((item) => item.id));
      if (page.cursor === undefined) break;
      await store.images.create(image(n), by);
      await store.images.create(image(n, checkout), by);
      page = await store.images.list({ component: storefront }, { limit: 2, cursor: page.cursor });
    }
    expect(seen).toEqual([5, 4, 3, 2, 1].map((n) => image(n).id));
    const all = await store.images.list({}, { limit: 100 });
    expect(all.items).toHaveLength(9);
    expect(all).not.toHaveProperty('cursor');
  });

  it('refuses a cursor and a limit that make no sense', async () => {
    const { store } = underTest();
    await expect(store.images.list({}, { limit: 5, cursor: 'nonsense' })).rejects.toMatchObject({
      code: 'input.invalid',
    });
    await expect(store.images.list({}, { limit: 0 })).rejects.toMatchObject({ code: 'input.invalid' });
  });

  it('names the artifacts of all images once each', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    await store.images.create(image(2), by);
    await store.images.create({ ...image(3), artifacts: image(2).artifacts }, by);
    expect([...(await store.images.artifacts())].sort()).toEqual([digestOf(1001), digestOf(1002)]);
  });

  it('moves a channel only from what it is believed to hold, and keeps its history', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    await store.images.create(image(2), by);
    const to = { component: storefront, channel: candidate, why: 'baked' };
    const first = await store.channels.move({ ...to, image: image(1).id }, by);
    expect(first).toEqual({ ...to, image: image(1).id, by: 'alice', atMs: by.atMs });
    await expect(store.channels.move({ ...to, image: image(2).id }, by)).rejects.toMatchObject({
      code: 'input.conflict',
      details: { holds: image(1).id },
    });
    const second = await store.channels.move({ ...to, image: image(2).id, previous: image(1).id }, by);
    expect(await store.channels.current(storefront, candidate)).toEqual(second);
    expect(await store.channels.history(storefront, candidate)).toEqual([second, first]);
    expect(await store.channels.list()).toEqual([second]);
    expect(await store.channels.list(checkout)).toEqual([]);
  });

  it('moves no channel to an image that is not there', async () => {
    const { store } = underTest();
    const move = { component: storefront, channel: candidate, image: 'none' as ImageId, why: 'oops' };
    await expect(store.channels.move(move, by)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('keeps what a channel demands, who approved, and upon what it moved', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    const policies = store.channelPolicies;
    expect(await policies.get(storefront, candidate)).toBeUndefined();
    for (const approvals of [1, 2])
      await policies.set(storefront, candidate, { checks: ['scan'], approvals }, by);
    expect(await policies.get(storefront, candidate)).toEqual({ checks: ['scan'], approvals: 2 });
    const bob = { actor: 'bob', atMs: by.atMs + 1 };
    await policies.approve(storefront, candidate, image(1).id, 'first', by);
    await policies.approve(storefront, candidate, image(1).id, 'fine', bob);
    await policies.approve(storefront, candidate, image(1).id, 'again', by);
    const approvals = await policies.approvals(storefront, candidate, image(1).id);
    expect(approvals).toEqual([
      { by: 'alice', why: 'again', atMs: by.atMs },
      { by: 'bob', why: 'fine', atMs: bob.atMs },
    ]);
    expect(await policies.approvals(checkout, candidate, image(1).id)).toEqual([]);
    const none = 'none' as ImageId;
    await expect(policies.approve(storefront, candidate, none, 'x', by)).rejects.toMatchObject({
      code: 'not-found',
    });
    const evidence = { checks: ['c'], approvals };
    const to = { component: storefront, channel: candidate, image: image(1).id, why: 'x', evidence };
    expect(await store.channels.move(to, by)).toMatchObject({ evidence });
    expect(await store.channels.current(storefront, candidate)).toMatchObject({ evidence });
  });
}
