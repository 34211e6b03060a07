import { expect, it } from 'vitest';
import type { Change } from '../../src/domain/change.ts';
import { componentName } from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import type { ImageQuery } from '../../src/domain/image-query.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { DEFAULT_RETENTION } from '../../src/domain/retention.ts';
import {
  by,
  candidate,
  check,
  checkout,
  deployment,
  group,
  image,
  own,
  release,
  service,
  storefront,
} from './store-samples.ts';
import { open, type StoreUnderTest } from './store-subjects.ts';

const DAY_MS = 24 * 3600 * 1000;
const policy = { ...DEFAULT_RETENTION, share: 1, releasesKept: 1 };
/** Long after all the samples were made. */
const later: Change = { actor: 'janitor', atMs: by.atMs + 400 * DAY_MS };
const REVOKED: ImageQuery = {
  conditions: [{ on: 'field', field: 'revoked', values: ['true'], negated: false }],
  versions: [],
  order: 'oldest',
};

function child(n: number, parent: Pick<Image, 'id'>, component = checkout) {
  const one = image(n, component);
  const definition = { ...one.definition, image: { ...one.definition.image, base: 'storefront@candidate' } };
  return { ...one, parent: parent.id, definition };
}

/** Marks all that may be, with a notice that is over. */
async function announce(store: Store): Promise<readonly number[]> {
  await store.janitor.noteUses(later.atMs);
  await store.images.create(image(99), by);
  await store.channels.move({ component: storefront, channel: candidate, image: image(99).id, why: 'x' }, by);
  const { mark, refused } = await store.janitor.decide(policy, later.atMs);
  expect(refused).toBeUndefined();
  await store.janitor.mark(mark, later.atMs - 1, later);
  return (await store.janitor.decide(policy, later.atMs)).sweep;
}

export function janitorContract(underTest: () => StoreUnderTest): void {
  it('revokes an image with all that was baked from it, and nothing revoked is released, promoted or baked from', async () => {
    const { store } = underTest();
    const [base, middle, other] = [image(1), child(2, image(1)), image(3)];
    const leaf = child(4, middle, componentName('leaf'));
    for (const one of [base, middle, other, leaf]) await store.images.create(one, by);
    await store.images.recordCheck(middle.id, check(true), by);
    const past = await store.releases.create({ ...release(), image: base.id }, by);
    const images = await store.images.revoke(base.id, 'a hole', by);
    expect(images).toEqual([base.id, middle.id, leaf.id]);
    expect((await store.images.get(base.id))?.revoked).toEqual({ atMs: by.atMs, by: 'alice', why: 'a hole' });
    expect((await store.images.get(leaf.id))?.revoked?.why).toContain(base.id);
    expect((await store.catalogue.search(REVOKED, { limit: 9 })).items.map((one) => one.id)).toEqual(images);
    expect(await store.images.revoke(base.id, 'again', by)).toEqual([]);
    const unfit = { code: 'image.unfit' };
    await expect(store.releases.create({ ...release(checkout), image: middle.id }, by)).rejects.toMatchObject(
      unfit,
    );
    await expect(store.deployments.create(deployment(past.number), by)).rejects.toMatchObject(unfit);
    const move = { component: checkout, channel: candidate, image: middle.id, why: 'x' };
    await expect(store.channels.move(move, by)).rejects.toMatchObject(unfit);
    await expect(store.images.create(child(5, base), by)).rejects.toMatchObject(unfit);
    expect((await store.events.after(0, 100)).filter((one) => one.kind === 'image.revoked')).toHaveLength(1);
  });

  it('sweeps what nobody needs, children first, and leaves it in no list and no query', async () => {
    const { store } = underTest();
    const [base, leaf] = [image(1), child(2, image(1))];
    for (const one of [base, leaf]) await store.images.create(one, by);
    await store.images.recordCheck(leaf.id, check(true), by);
    const sweep = await announce(store);
    expect(sweep).toEqual([2, 1]);
    const outcomes = async (numbers: readonly number[]) => [
      ...(await store.janitor.sweep(numbers, policy, later)),
    ];
    expect(await outcomes([1])).toEqual([[1, 'ancestor']]);
    // Both at once: what was baked from the base goes with it.
    expect(await outcomes(sweep)).toEqual([
      [2, 'swept'],
      [1, 'swept'],
    ]);
    expect(await outcomes([1])).toEqual([[1, 'gone']]);
    for (const one of [base, leaf]) {
      expect(await store.images.get(one.id)).toBeUndefined();
      expect(await store.images.byVersion(one.component, one.version)).toBeUndefined();
      expect(await store.images.byInputKey(one.component, one.inputKey)).toBeUndefined();
    }
    const everything: ImageQuery = { conditions: [], versions: [], order: 'newest' };
    expect((await store.catalogue.search(everything, { limit: 9 })).items.map((one) => one.id)).toEqual([
      image(99).id,
    ]);
    const byVersion: ImageQuery = {
      conditions: [{ on: 'field', field: 'component', values: [checkout], negated: false }],
      versions: [],
      order: '-version',
    };
    expect((await store.catalogue.search(byVersion, { limit: 9 })).items).toEqual([]);
    expect((await store.images.list({}, { limit: 9 })).items).toHaveLength(1);
    expect(await store.images.artifacts()).toHaveLength(1);
    const swept = await store.janitor.sweptArtifacts();
    expect(swept.map((one) => one.artifact.digest).toSorted()).toEqual(
      [base, leaf].map((one) => one.artifacts[0]?.digest).toSorted(),
    );
    await store.janitor.forgetArtifacts(swept);
    expect(await store.janitor.sweptArtifacts()).toEqual([]);
    // The version is free again.
    await store.images.create({ ...image(7), version: base.version }, by);
    expect((await store.images.byVersion(storefront, base.version))?.id).toBe(image(7).id);
    // And so is its id: a registry may still have it.
    await store.images.create({ ...base, version: '1.0.1+again' }, by);
    expect(await store.images.get(base.id)).toMatchObject({ version: '1.0.1+again', checks: [] });
  });

  it('lists what is kept elsewhere page by page, but not what another image stands on, nor anything twice', async () => {
    const { store } = underTest();
    const ami = {
      kind: 'machine',
      provider: 'amazon',
      region: 'eu-west-1',
      arch: 'amd64',
      sizeBytes: 1,
    } as const;
    const own = (n: number) => ({ ...ami, reference: `ami-${n}` });
    const shared = own(0);
    await store.images.create({ ...image(1), artifacts: [own(1), shared] }, by);
    await store.images.create({ ...image(2, checkout), artifacts: [own(2), shared] }, by);
    for (const change of [by, later])
      await store.images.recordCopy(image(1).id, 'host/shop@sha256:1', change);
    await announce(store);
    const swept = async (number: number) => {
      await store.janitor.sweep([number], policy, later);
      return (await store.janitor.sweptArtifacts()).map(({ artifact }) => artifact);
    };
    const copy = { kind: 'machine', provider: 'registry', arch: 'amd64', reference: 'host/shop@sha256:1' };
    expect(await swept(1)).toEqual([own(1), { ...copy, sizeBytes: 0 }]);
    await expect(store.images.create({ ...image(3), artifacts: [own(1)] }, by)).rejects.toMatchObject({
      code: 'source.changed',
    });
    const all = await swept(2);
    expect(all).toHaveLength(4);
    expect(all).toEqual(expect.arrayContaining([own(2), shared]));
    const [first] = await store.janitor.sweptArtifacts();
    expect(await store.janitor.sweptArtifacts(first)).toHaveLength(3);
    expect((await store.events.after(0, 100)).filter((one) => one.kind === 'image.pushed')).toHaveLength(1);
  });

  it('lists what is announced, page by page, until it is restored or gone', async () => {
    const { store } = underTest();
    for (const n of [1, 2, 3]) await store.images.create(image(n), by);
    const due = await announce(store);
    const one = (n: number) => ({
      image: image(n).id,
      component: storefront,
      version: image(n).version,
      markedAtMs: later.atMs,
      sweepAfterMs: later.atMs - 1,
    });
    const first = await store.janitor.announced({ limit: 2 });
    expect(first.items).toEqual([one(3), one(2)]);
    const { cursor = '' } = first;
    expect(await store.janitor.announced({ limit: 2, cursor })).toEqual({ items: [one(1)] });
    await store.janitor.restore(image(2).id, later);
    await store.janitor.sweep(due.slice(0, 1), policy, later);
    const left = (await store.janitor.announced({ limit: 9 })).items.map(({ image: id }) => id);
    expect(left).toHaveLength(1);
    expect(left).not.toContain(image(2).id);
    expect(await store.images.get(left[0] ?? image(1).id)).toBeDefined();
  });

  it('keeps what came to be needed in the middle of a sweep, by another server in another environment', async () => {
    const { store, settings } = underTest();
    for (let n = 1; n <= 4; n += 1) await store.images.create(image(n), by);
    await store.images.create(image(5, checkout), by);
    const sweep = await announce(store);
    expect(sweep).toHaveLength(5);
    const other = await open(settings);
    try {
      await other.releases.create({ ...release(), image: image(1).id }, by);
      await other.channels.move(
        { component: storefront, channel: candidate, image: image(2).id, previous: image(99).id, why: 'x' },
        by,
      );
      await other.images.create({ ...child(6, image(3)), createdAtMs: by.atMs }, by);
      await other.janitor.restore(image(4).id, later);
    } finally {
      await other.close();
    }
    const outcomes = await store.janitor.sweep(sweep, policy, later);
    expect(Object.fromEntries(outcomes)).toEqual({
      1: 'release',
      2: 'channel',
      3: 'ancestor',
      4: 'announced',
      5: 'swept',
    });
    // And the other way round: what was swept is not released any more.
    await expect(
      store.releases.create({ ...release(checkout), image: image(5, checkout).id }, by),
    ).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('knows what runs and what ran, and what a rollback can reach', async () => {
    const { store } = underTest();
    for (let n = 1; n <= 4; n += 1) await store.images.create(image(n), by);
    for (let n = 1; n <= 4; n += 1) await store.releases.create({ ...release(), image: image(n).id }, by);
    const fence = await own(store);
    const at = (atMs: number): Change => ({ actor: 'owner', atMs });
    for (const n of [1, 2, 3]) {
      const { id } = await store.deployments.create(deployment(n), at(by.atMs + n));
      await store.deployments.finish(id, { state: 'deployed' }, fence, at(by.atMs + n));
    }
    const reason = (n: number) => store.janitor.keepReason(image(n).id, policy, later.atMs);
    // Release 3 serves, 2 is one back, 4 is the newest; 1 is out of reach.
    expect([await reason(1), await reason(2), await reason(3), await reason(4)]).toEqual([
      undefined,
      'release',
      'release',
      'release',
    ]);
    await store.services.putGroup(group(1), fence, at(later.atMs - 46 * DAY_MS));
    expect(await reason(1)).toBe('group');
    await store.janitor.noteUses(later.atMs - 44 * DAY_MS);
    await store.services.deleteGroup(service, group(1).name, fence, by);
    expect(await reason(1)).toBe('young');
    expect(await store.janitor.keepReason(image(1).id, policy, later.atMs + 2 * DAY_MS)).toBeUndefined();
    // Instances that came and went before anybody looked are a use as well.
    await store.services.putGroup(group(1), fence, at(later.atMs));
    await store.services.deleteGroup(service, group(1).name, fence, by);
    expect(await store.janitor.keepReason(image(1).id, policy, later.atMs + 2 * DAY_MS)).toBe('young');
  });

  it('is off until it is enabled, and remembers its runs', async () => {
    const { store } = underTest();
    expect(await store.janitor.state()).toEqual({ enabled: false, usesSeenAtMs: 0 });
    await store.janitor.setEnabled(true, by);
    await store.janitor.finishRun(40, 7);
    expect(await store.janitor.state()).toEqual({ enabled: true, usesSeenAtMs: 0, lastRunAtMs: 7 });
    await store.images.create(image(1), by);
    expect((await store.janitor.decide(policy, later.atMs)).refused).toMatch(/stale/);
    await store.janitor.noteUses(later.atMs);
    expect((await store.janitor.decide(policy, later.atMs)).refused).toMatch(/empty/);
  });
}
