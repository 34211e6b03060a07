/** Executions of pipelines: their events in order, who may append them, and who carries them on. */
import { expect, it } from 'vitest';
import type { ExecutionAppend, ExecutionOrigin } from '../../src/domain/ports/executions.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { by } from './store-samples.ts';
import { open, type StoreUnderTest } from './store-subjects.ts';

const NOW = 1_000_000;
const TTL = 10_000;

async function begun(store: Store, id: string, more: Partial<ExecutionOrigin> = {}): Promise<void> {
  await store.executions.putDefinition('d1', { StartAt: 'A' });
  const origin = { id, pipeline: 'shop', definition: 'd1', input: { z: 1, a: 2 }, priority: 0, ...more };
  await store.executions.create(origin, 'queue', by);
}

async function claimed(store: Store, holder: string, nowMs = NOW): Promise<ReadonlyMap<string, number>> {
  await store.executions.renew(holder, TTL, nowMs);
  const claims = await store.executions.claim(holder, 1_000, nowMs);
  return new Map(claims.map(({ id, fence }) => [id, fence]));
}

function append(
  id: string,
  fence: number,
  after: number,
  more: Partial<ExecutionAppend> = {},
): ExecutionAppend {
  return { id, fence, after, events: [{ n: after + 1 }], status: 'RUNNING', atMs: NOW, ...more };
}

export function executionsContract(underTest: () => StoreUnderTest): void {
  it('keeps an execution: origin, events in order, snapshot, end', async () => {
    const { store } = underTest();
    await begun(store, 'one');
    await begun(store, 'two');
    expect(await store.executions.definition('d1')).toEqual({ StartAt: 'A' });
    const fence = (await claimed(store, 'me')).get('one') ?? -1;
    await store.executions.append(
      append('one', fence, 0, { events: [{ n: 1 }, { n: 2 }], snapshot: { at: 2 } }),
    );
    await store.executions.append(append('one', fence, 2));
    const [loaded] = await store.executions.load(['one']);
    expect(loaded).toMatchObject({
      record: {
        id: 'one',
        pipeline: 'shop',
        status: 'RUNNING',
        sequence: 3,
        holder: 'me',
        createdBy: 'alice',
      },
      snapshot: { sequence: 2, state: { at: 2 } },
      events: [{ n: 3 }],
      signals: [],
    });
    expect(Object.keys(loaded?.record.input ?? {})).toEqual(['z', 'a']);
    expect(await store.executions.events('one')).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    const revision = await store.events.revision();
    await store.executions.append(append('one', fence, 3, { status: 'SUCCEEDED' }));
    expect(await store.events.after(revision, 9)).toMatchObject([
      { kind: 'execution.ended', subject: 'one', data: { status: 'SUCCEEDED' } },
    ]);
    expect(await store.executions.get('one')).toMatchObject({ status: 'SUCCEEDED', endedAtMs: NOW });
    const page = await store.executions.list({}, { limit: 1 });
    expect(page.items.map(({ id }) => id)).toEqual(['two']);
    const next = await store.executions.list({}, { limit: 1, cursor: page.cursor ?? '' });
    expect(next.items.map(({ id }) => id)).toEqual(['one']);
    const stillOpen = await store.executions.list({ open: true, pipeline: 'shop' }, { limit: 9 });
    expect(stillOpen.items.map(({ id }) => id)).toEqual(['two']);
  });

  it('refuses an append out of order or of a past holder, and commits the others beside it', async () => {
    const { store } = underTest();
    for (const id of ['one', 'two', 'three']) await begun(store, id);
    const fences = await claimed(store, 'me');
    const fence = (id: string) => fences.get(id) ?? -1;
    const outcomes = await Promise.allSettled([
      store.executions.append(append('one', fence('one'), 0)),
      store.executions.append(append('two', fence('two'), 7)),
      store.executions.append(append('three', fence('three') - 1, 0)),
      store.executions.append(append('one', fence('one'), 1)),
      store.executions.append(append('none', 1, 0)),
    ]);
    expect(outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'stored'))).toEqual([
      'stored',
      'input.conflict',
      'fence.stale',
      'stored',
      'not-found',
    ]);
    expect(await store.executions.events('one')).toHaveLength(2);
    expect(await store.executions.events('two')).toEqual([]);
  });

  it('gives an execution to one holder, and to the next once that no longer lives', async () => {
    const { store, settings } = underTest();
    const other = await open(settings);
    try {
      for (let n = 0; n < 40; n += 1) await begun(store, `e${n}`);
      await store.executions.renew('me', TTL, NOW);
      await other.executions.renew('you', TTL, NOW);
      const rounds = await Promise.all(
        [store, other, store, other].map((one) =>
          one.executions.claim(one === store ? 'me' : 'you', 15, NOW),
        ),
      );
      const ids = rounds.flat().map(({ id }) => id);
      expect(ids).toHaveLength(40);
      expect(new Set(ids).size).toBe(40);
      expect(await claimed(store, 'me')).toEqual(new Map());
      const later = NOW + TTL + 1;
      const taken = await claimed(other, 'you', later);
      expect(taken.size).toBeGreaterThan(0);
      const [id = '', fence = 0] = [...taken][0] ?? [];
      expect(fence).toBe(2);
      await expect(store.executions.append(append(id, 1, 0))).rejects.toMatchObject({ code: 'fence.stale' });
      await store.executions.releaseAll('');
      expect((await claimed(store, 'me', later)).size).toBe(40);
    } finally {
      await other.close();
    }
  });

  it('gives one that has a home to whoever lives there, and to others once nobody does', async () => {
    const { store } = underTest();
    await begun(store, 'folder', { home: 'left:' });
    await begun(store, 'anywhere');
    const ids = async (holder: string, nowMs: number) => [...(await claimed(store, holder, nowMs)).keys()];
    await store.executions.renew('left:1', TTL, NOW);
    expect(await ids('right:1', NOW)).toEqual(['anywhere']);
    expect(await ids('left:1', NOW + 1)).toEqual(['folder']);
    expect((await store.executions.get('folder'))?.home).toBe('left:');
    // A later start of the same server, under another name.
    await store.executions.releaseAll('left:');
    await store.executions.renew('left:2', TTL, NOW + 2);
    expect(await ids('right:1', NOW + 3)).toEqual([]);
    expect(await ids('right:1', NOW + 3 + TTL)).toEqual(['folder']);
  });

  it('gives the more urgent out first', async () => {
    const { store } = underTest();
    for (const [id, priority] of Object.entries({ low: -1, plain: 0, urgent: 5, later: 0 }))
      await begun(store, id, { priority });
    await store.executions.renew('me', TTL, NOW);
    const order: (string | undefined)[] = [];
    for (let n = 0; n < 4; n += 1) order.push((await store.executions.claim('me', 1, NOW))[0]?.id);
    expect(order).toEqual(['urgent', 'plain', 'later', 'low']);
  });

  it('keeps signals until an append has carried them out, and none for what has ended', async () => {
    const { store } = underTest();
    await begun(store, 'one');
    const fence = (await claimed(store, 'me')).get('one') ?? -1;
    expect(await store.executions.signal('one', 'execution.cancel', { type: 'aborted' }, by)).toBe(true);
    const [signal] = await store.executions.signals('one');
    expect(signal).toMatchObject({ atMs: by.atMs, body: { type: 'aborted' } });
    const consumed = [signal?.number ?? -1];
    await store.executions.append(append('one', fence, 0, { consumed, status: 'ABORTED' }));
    expect(await store.executions.signals('one')).toEqual([]);
    expect(await store.executions.signal('one', 'execution.cancel', {}, by)).toBe(false);
    const none = store.executions.signal('none', 'execution.cancel', {}, by);
    await expect(none).rejects.toMatchObject({ code: 'not-found' });
    const { items } = await store.audit.list({ limit: 1 });
    expect(items).toMatchObject([{ action: 'execution.cancel', subject: 'one' }]);
  });

  it('runs one of a group at a time; a newer one waits, is refused, or has the others cancelled', async () => {
    const { store } = underTest();
    await begun(store, 'first', { group: 'shop' });
    await begun(store, 'second', { group: 'shop', priority: 9 });
    await begun(store, 'alone');
    const origin = { id: 'third', pipeline: 'shop', definition: 'd1', input: 1, priority: 0, group: 'shop' };
    const refused = store.executions.create(origin, 'refuse', by);
    await expect(refused).rejects.toMatchObject({ code: 'input.conflict', details: { execution: 'first' } });
    const fences = await claimed(store, 'me');
    expect([...fences.keys()].toSorted()).toEqual(['alone', 'first']);
    await store.executions.create(origin, 'newest', by);
    expect(await store.executions.signals('second')).toMatchObject([{ body: { error: 'Kiln.Superseded' } }]);
    const fence = fences.get('first') ?? -1;
    await store.executions.append(append('first', fence, 0, { status: 'ABORTED' }));
    expect([...(await claimed(store, 'me')).keys()]).toEqual(['second']);
  });
}
