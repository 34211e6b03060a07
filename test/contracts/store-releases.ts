import { expect, it } from 'vitest';
import { environmentName, serviceKey } from '../../src/domain/ids.ts';
import {
  allEvents,
  by,
  checkout,
  deployment,
  image,
  liveUk,
  own,
  release,
  released,
  service,
  storefront,
} from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

export function releasesContract(underTest: () => StoreUnderTest): void {
  it('numbers releases per component and environment, and gives them back whole', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    const first = await store.releases.create(release(), by);
    expect(first).toEqual({ ...release(), number: 1, createdAtMs: by.atMs, createdBy: 'alice' });
    expect((await store.releases.create(release(), by)).number).toBe(2);
    const elsewhere = await store.releases.create(release(storefront, environmentName('stage/uk')), by);
    expect(elsewhere.number).toBe(1);
    expect(await store.releases.get(storefront, liveUk, 1)).toEqual(first);
    expect(await store.releases.get(storefront, liveUk, 9)).toBeUndefined();
    const listed = await store.releases.list({ component: storefront, environment: liveUk }, { limit: 1 });
    expect(listed.items.map((item) => item.number)).toEqual([2]);
    const rest = await store.releases.list(
      { component: storefront, environment: liveUk },
      { limit: 1, ...(listed.cursor ? { cursor: listed.cursor } : {}) },
    );
    expect(rest.items.map((item) => item.number)).toEqual([1]);
    expect(await store.services.get(service)).toEqual({
      component: storefront,
      environment: liveUk,
      stopped: false,
      weights: {},
    });
  });

  it('releases no image that is not there', async () => {
    await expect(underTest().store.releases.create(release(), by)).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('gives numbers out once, however many ask at a time', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    const made = await Promise.all(Array.from({ length: 20 }, () => store.releases.create(release(), by)));
    expect(made.map((one) => one.number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  it('runs one deployment at a time and names it to the second', async () => {
    const { store } = underTest();
    await released(store, 2);
    const first = await store.deployments.create(deployment(1), by);
    expect(first).toMatchObject({ state: 'running', to: 1, decisions: {}, createdBy: 'alice' });
    expect(first).not.toHaveProperty('from');
    const refused = store.deployments.create(deployment(2), { actor: 'bob', atMs: by.atMs + 5 });
    await expect(refused).rejects.toMatchObject({
      code: 'deployment.in-progress',
      details: { deployment: first.id, release: 1, by: 'alice', sinceMs: by.atMs },
    });
    await expect(refused).rejects.toThrow(/Release 1 of storefront in live\/uk .*by alice, since 2023-/);
    expect(await store.deployments.open(service)).toEqual([first]);
    await expect(store.deployments.create(deployment(7), by)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('starts the queued ones in order, each from what then serves', async () => {
    const { store } = underTest();
    await released(store, 3);
    const fence = await own(store);
    const first = await store.deployments.create(deployment(1), by);
    const second = await store.deployments.create(deployment(2, { onConflict: 'queue' }), by);
    const third = await store.deployments.create(deployment(3, { onConflict: 'queue' }), by);
    expect([second.state, third.state]).toEqual(['queued', 'queued']);
    expect(await store.deployments.startNext(service, fence, by)).toBeUndefined();
    await store.deployments.finish(first.id, { state: 'deployed' }, fence, by);
    const started = await store.deployments.startNext(service, fence, by);
    expect(started).toMatchObject({ id: second.id, state: 'running', from: 1 });
    expect((await store.deployments.open(service)).map((open) => open.id)).toEqual([second.id, third.id]);
    const listed = await store.deployments.list({ component: storefront }, { limit: 10 });
    expect(listed.items.map((item) => item.id)).toEqual([third.id, second.id, first.id]);
  });

  it('replaces by asking the first to cancel, and a queued one is cancelled at once', async () => {
    const { store } = underTest();
    await released(store, 3);
    const first = await store.deployments.create(deployment(1), by);
    const later = { actor: 'bob', atMs: by.atMs + 9 };
    const second = await store.deployments.create(deployment(2, { onConflict: 'replace' }), later);
    expect(second.state).toBe('queued');
    const asked = await store.deployments.get(first.id);
    expect(asked).toMatchObject({ state: 'running', decisions: { cancelRequestedAtMs: later.atMs } });
    await store.deployments.requestCancel(second.id, by);
    expect(await store.deployments.get(second.id)).toMatchObject({
      state: 'cancelled',
      failure: { code: 'deployment.cancelled' },
    });
    await expect(store.deployments.requestCancel(second.id, by)).rejects.toMatchObject({
      code: 'input.conflict',
    });
  });

  it('never changes a decision once made', async () => {
    const { store } = underTest();
    await released(store);
    const fence = await own(store);
    const { id } = await store.deployments.create(deployment(1), by);
    await store.deployments.decide(id, { startedAtMs: 5, deadlineMs: 50 }, fence, by);
    const again = await store.deployments.decide(id, { deadlineMs: 99, migratedAtMs: 6 }, fence, by);
    expect(again.decisions).toEqual({ startedAtMs: 5, deadlineMs: 50, migratedAtMs: 6 });
    expect((await store.deployments.get(id))?.decisions).toEqual(again.decisions);
    const before = await store.events.revision();
    await store.deployments.decide(id, { startedAtMs: 77 }, fence, by);
    expect(await store.events.revision()).toBe(before);
  });

  it('makes the release serve in the same transaction that ends its deployment', async () => {
    const { store } = underTest();
    await released(store);
    const fence = await own(store);
    await store.services.setStopped(service, true, by);
    const { id } = await store.deployments.create(deployment(1), by);
    await store.deployments.progress(id, { step: 'shift' }, fence, by);
    const end = { actor: 'server-1', atMs: by.atMs + 100 };
    const ended = await store.deployments.finish(id, { state: 'deployed' }, fence, end);
    expect(ended).toMatchObject({ state: 'deployed', endedAtMs: end.atMs });
    expect(await store.deployments.get(id)).toEqual(ended);
    expect(await store.services.get(service)).toMatchObject({ serving: 1, stopped: false });
    expect(await store.releases.get(storefront, liveUk, 1)).toMatchObject({ servedAtMs: end.atMs });
    expect((await allEvents(store)).slice(2)).toEqual([
      'service.stopped',
      'deployment.started',
      'deployment.progress',
      'deployment.finished',
      'service.serving',
    ]);
    await expect(store.deployments.decide(id, { verifiedAtMs: 1 }, fence, by)).rejects.toMatchObject({
      code: 'input.conflict',
    });
  });

  it('leaves what serves alone when a deployment fails, and remembers why', async () => {
    const { store } = underTest();
    await released(store, 2);
    const fence = await own(store);
    const good = await store.deployments.create(deployment(1), by);
    await store.deployments.finish(good.id, { state: 'deployed' }, fence, by);
    const bad = await store.deployments.create(deployment(2), by);
    const failure = { code: 'deployment.timeout', message: 'It never became healthy.' };
    await store.deployments.finish(bad.id, { state: 'failed', failure }, fence, by);
    await store.releases.markBad(service, 2, 'never healthy', fence, by);
    expect(await store.deployments.get(bad.id)).toMatchObject({ state: 'failed', failure, from: 1 });
    expect((await store.services.get(service))?.serving).toBe(1);
    expect(await store.releases.get(storefront, liveUk, 2)).toMatchObject({
      bad: { atMs: by.atMs, why: 'never healthy' },
    });
  });

  it('lets a route belong to one service: the one that serves it or is being deployed with it', async () => {
    const { store } = underTest();
    const other = serviceKey(checkout, liveUk);
    await store.images.create(image(1), by);
    await store.images.create(image(1, checkout), by);
    const ours = release(storefront, liveUk, ['shop.example.com']);
    const theirs = release(checkout, liveUk, ['shop.example.com']);
    // Nobody has it yet, so both may be written down; whoever is deployed first has it.
    await store.releases.create(ours, by);
    await store.releases.create(theirs, by);
    const { id } = await store.deployments.create(deployment(1), by);
    const refusal = { code: 'route.conflict', details: { service, host: 'shop.example.com' } };
    await expect(store.releases.create(theirs, by)).rejects.toMatchObject(refusal);
    const theirDeployment = deployment(1, { component: checkout });
    await expect(store.deployments.create(theirDeployment, by)).rejects.toMatchObject(refusal);
    const fence = await own(store);
    await store.deployments.finish(id, { state: 'deployed' }, fence, by);
    await expect(store.releases.create(theirs, by)).rejects.toMatchObject(refusal);
    expect((await store.releases.create(ours, by)).number).toBe(2);

    await store.releases.create(release(storefront, liveUk, []), by);
    const without = await store.deployments.create(deployment(3), by);
    await store.deployments.finish(without.id, { state: 'deployed' }, fence, by);
    await store.deployments.create(theirDeployment, by);
    expect(await store.deployments.open(other)).toHaveLength(1);
  });
}
