import { expect, it } from 'vitest';
import { componentName, type DeploymentId, environmentName, serviceKey } from '../../src/domain/ids.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { by, deployment, group, own, released, service } from './store-samples.ts';
import { open, type StoreUnderTest } from './store-subjects.ts';

type FencedWrite = (store: Store, id: DeploymentId, fence: number) => Promise<unknown>;

const FENCED_WRITES: Readonly<Record<string, FencedWrite>> = {
  markBad: (store, _, fence) => store.releases.markBad(service, 1, 'why', fence, by),
  startNext: (store, _, fence) => store.deployments.startNext(service, fence, by),
  decide: (store, id, fence) => store.deployments.decide(id, { startedAtMs: 1 }, fence, by),
  progress: (store, id, fence) => store.deployments.progress(id, {}, fence, by),
  finish: (store, id, fence) => store.deployments.finish(id, { state: 'failed' }, fence, by),
  putGroup: (store, _, fence) => store.services.putGroup(group(1), fence, by),
  deleteGroup: (store, _, fence) => store.services.deleteGroup(service, group(1).name, fence, by),
  setWeights: (store, _, fence) => store.services.setWeights(service, { a: 1 }, fence, by),
};

export function ownershipContract(underTest: () => StoreUnderTest): void {
  it('gives a lease to one holder until its time is over, and a higher fence with each change of hands', async () => {
    const { leases } = underTest().store;
    const first = await leases.acquire(service, 'a', 100, 1000);
    expect(first).toEqual({ holder: 'a', fence: 1, expiresAtMs: 1100 });
    expect(await leases.acquire(service, 'b', 100, 1099)).toBeUndefined();
    expect(await leases.acquire(service, 'a', 100, 1050)).toEqual({
      holder: 'a',
      fence: 1,
      expiresAtMs: 1150,
    });
    const second = await leases.acquire(service, 'b', 100, 1150);
    expect(second).toEqual({ holder: 'b', fence: 2, expiresAtMs: 1250 });
    expect(await leases.holder(service)).toEqual(second);
    await leases.release(service, 'a');
    expect(await leases.holder(service)).toEqual(second);
    await leases.release(service, 'b');
    expect(await leases.holder(service)).toBeUndefined();
    expect(await leases.acquire(service, 'b', 100, 1160)).toMatchObject({ fence: 3 });
  });

  it('frees what a server held that is known to have ended, and nothing of the others', async () => {
    const { leases } = underTest().store;
    const other = serviceKey(componentName('other'), environmentName('live/uk'));
    await leases.acquire(service, 'host_1:a%:7', 60_000, 0);
    await leases.acquire(other, 'host_1:b:7', 60_000, 0);
    await leases.releaseAll('host_1:a%:');
    expect(await leases.acquire(service, 'host_1:a%:8', 60_000, 1)).toMatchObject({ fence: 2 });
    expect(await leases.acquire(other, 'host_1:b:8', 60_000, 1)).toBeUndefined();
    await leases.releaseAll('');
    expect(await leases.acquire(other, 'host_1:b:8', 60_000, 2)).toMatchObject({ fence: 2 });
  });

  it('gives a free lease to exactly one of many who ask at once, over two stores', async () => {
    const { store, settings } = underTest();
    const other = await open(settings);
    try {
      const asked = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          (n % 2 ? store : other).leases.acquire(service, `server-${n}`, 1000, 0),
        ),
      );
      expect(asked.filter((lease) => lease !== undefined)).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  it.each(Object.keys(FENCED_WRITES))('refuses %s under a fence that is no longer held', async (name) => {
    const { store } = underTest();
    const write = FENCED_WRITES[name];
    await released(store);
    const { id } = await store.deployments.create(deployment(1), by);
    await expect(write?.(store, id, 1)).rejects.toMatchObject({ code: 'fence.stale' });
    const old = await own(store, 'old');
    await store.leases.release(service, 'old');
    await expect(write?.(store, id, old)).rejects.toMatchObject({ code: 'fence.stale' });
    const fence = await own(store, 'new');
    const before = await store.events.revision();
    await expect(write?.(store, id, old)).rejects.toMatchObject({
      code: 'fence.stale',
      details: { fence: old, currentFence: fence },
    });
    expect(await store.events.revision()).toBe(before);
    await write?.(store, id, fence);
  });

  it('lets only one of two racing servers begin a deployment', async () => {
    const { store, settings } = underTest();
    const other = await open(settings);
    try {
      await released(store, 2);
      const outcomes = await Promise.allSettled([
        store.deployments.create(deployment(1), by),
        other.deployments.create(deployment(2), by),
        store.deployments.create(deployment(2), by),
        other.deployments.create(deployment(1), by),
      ]);
      const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(refused.map((outcome) => outcome.reason.code)).toEqual(
        Array.from({ length: 3 }, () => 'deployment.in-progress'),
      );
      expect(await store.deployments.open(service)).toHaveLength(1);
    } finally {
      await other.close();
    }
  });

  it('keeps groups, weights and the stop wish, and says nothing when they are stated again', async () => {
    const { store } = underTest();
    await released(store, 2);
    const fence = await own(store);
    await store.services.putGroup(group(2), fence, by);
    await store.services.putGroup(group(1), fence, by);
    await store.services.putGroup(group(1, 5), fence, by);
    expect(await store.services.groups(service)).toEqual([group(1, 5), group(2)]);
    await store.services.setWeights(service, { [group(1).name]: 100 }, fence, by);
    await store.services.setStopped(service, true, by);
    const state = { stopped: true, weights: { [group(1).name]: 100 } };
    expect(await store.services.list()).toMatchObject([state]);

    const before = await store.events.revision();
    await store.services.putGroup(group(1, 5), fence, by);
    await store.services.setWeights(service, { [group(1).name]: 100 }, fence, by);
    await store.services.setStopped(service, true, by);
    await store.services.deleteGroup(service, group(9).name, fence, by);
    expect(await store.events.revision()).toBe(before);

    await store.services.deleteGroup(service, group(1).name, fence, by);
    expect(await store.services.groups(service)).toEqual([group(2)]);
  });
}
