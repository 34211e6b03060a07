import { expect, it } from 'vitest';
import { channelName, type ImageId } from '../../src/domain/ids.ts';
import { by, image, storefront } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

const FAILED = { kind: 'failed', code: 'build.failed', message: 'it did not compile' } as const;

export function rebakesContract(underTest: () => StoreUnderTest): void {
  it('keeps one outcome for an image on a base, the last one, and tells of it', async () => {
    const { store } = underTest();
    const [one, two] = [await store.images.create(image(1), by), await store.images.create(image(2), by)];
    await store.rebakes.record({ image: one.id, onto: two.id, outcome: FAILED }, by);
    const made = { kind: 'made', made: two.id, checked: false } as const;
    await store.rebakes.record({ image: two.id, onto: one.id, outcome: made }, by);
    await store.rebakes.record({ image: one.id, onto: two.id, outcome: { ...made, checked: true } }, by);
    expect(await store.rebakes.of([one.id])).toEqual([
      { image: one.id, onto: two.id, outcome: { ...made, checked: true }, atMs: by.atMs },
    ]);
    expect((await store.rebakes.list(9)).map((found) => found.image)).toEqual([one.id, two.id]);
    expect(await store.rebakes.list(1)).toHaveLength(1);
    expect(await store.rebakes.of([])).toEqual([]);
    const kinds = (await store.events.after(2, 9)).map((event) => event.kind);
    expect(kinds).toEqual(['rebake.failed', 'rebake.made', 'rebake.made']);
    const missing = { image: 'none' as ImageId, onto: one.id, outcome: FAILED };
    await expect(store.rebakes.record(missing, by)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('forgets failures alone, so that they are tried again', async () => {
    const { store } = underTest();
    const [one, two] = [await store.images.create(image(1), by), await store.images.create(image(2), by)];
    const made = { kind: 'made', made: two.id, checked: true } as const;
    await store.rebakes.record({ image: one.id, onto: one.id, outcome: FAILED }, by);
    await store.rebakes.record({ image: one.id, onto: two.id, outcome: made }, by);
    expect(await store.rebakes.retry(one.id, by)).toBe(1);
    const revision = await store.events.revision();
    expect(await store.rebakes.retry(one.id, by)).toBe(0);
    expect(await store.events.revision()).toBe(revision);
    expect((await store.rebakes.of([one.id])).map(({ onto }) => onto)).toEqual([two.id]);
  });

  it('lists what the channels of a component demand', async () => {
    const { store } = underTest();
    const [golden, proven] = [channelName('golden'), channelName('proven')];
    await store.channelPolicies.set(storefront, proven, { checks: ['smoke'], approvals: 0 }, by);
    await store.channelPolicies.set(storefront, golden, { checks: [], approvals: 2 }, by);
    expect([...(await store.channelPolicies.list(storefront))]).toEqual([
      [golden, { checks: [], approvals: 2 }],
      [proven, { checks: ['smoke'], approvals: 0 }],
    ]);
  });
}
