/** Sources of pipelines, and the events that start them: each taken once, kept until somebody says what came of it. */
import { expect, it } from 'vitest';
import type { PipelineSource, PushEvent } from '../../src/domain/trigger.ts';
import { by } from './store-samples.ts';
import type { StoreUnderTest } from './store-subjects.ts';

const SOURCE: PipelineSource = {
  id: 'src-1',
  component: 'shop',
  location: { kind: 'repository', url: 'file:///srv/shop.git' },
  directory: '',
  branch: 'main',
  triggers: { schedule: [], channel: [], base: false, pipeline: [], onOpen: 'queue' },
  checkout: { submodules: true, lfs: true },
  base: { component: 'node-runtime', channel: 'golden' },
  parameters: { level: 'stage' },
  owner: { actor: 'alice', role: 'admin', environments: [] },
  createdAtMs: 1,
};

function push(commit: string): PushEvent {
  return { kind: 'push', repository: { source: 'src-1' }, ref: 'refs/heads/main', commit };
}

export function triggersContract(underTest: () => StoreUnderTest): void {
  it('takes each event once, keeps it until it is settled, and moves its ref with it', async () => {
    const { triggers } = underTest().store;
    await triggers.register(SOURCE, [{ ref: 'refs/heads/main', commit: 'a' }], by);
    expect(await triggers.take('src-1', 'push/1', push('a'), by)).toBeUndefined();
    const told = await Promise.all([
      triggers.take('src-1', 'push/2', push('b'), by),
      triggers.take('src-1', 'push/3', push('b'), by),
      triggers.take('src-1', 'push/2', push('b'), by),
      triggers.take('nobody', 'push/2', push('b'), by),
    ]);
    expect(told.filter((number) => number !== undefined)).toHaveLength(1);
    const [number = -1] = told.filter((one) => one !== undefined);
    // Back to where it stood: a push of its own.
    expect(await triggers.take('src-1', 'push/4', push('a'), by)).toBeGreaterThan(number);
    expect(await triggers.heads('src-1')).toEqual([{ ref: 'refs/heads/main', commit: 'a' }]);
    expect((await triggers.waiting(9)).map(({ event }) => event)).toEqual([push('b'), push('a')]);
    await triggers.settle(number, { kind: 'started', execution: 'exec-1' }, by);
    await triggers.settle(number, { kind: 'passed-over', why: 'too late' }, by);
    expect((await triggers.waiting(9)).map(({ event }) => event)).toEqual([push('a')]);
    const page = await triggers.list({ source: 'src-1' }, { limit: 9 });
    expect(page.items.map(({ outcome }) => outcome)).toEqual([
      undefined,
      { kind: 'started', execution: 'exec-1' },
    ]);
    // Found by comparing with what was noted before somebody else told of it.
    expect(await triggers.take('src-1', 'push/6', push('b'), by, { head: 'b' })).toBeUndefined();
    // b → c, which is told before a → b is: b is not where the ref stands.
    await triggers.take('src-1', 'push/7', { ...push('c'), before: 'b' }, by);
    expect(await triggers.take('src-1', 'push/8', { ...push('b'), before: 'a' }, by)).toBeUndefined();
    expect(await triggers.take('src-1', 'push/9', { ...push('b'), before: 'c' }, by)).toBeDefined();
    await triggers.take('src-1', 'push/10', { ...push('a'), before: 'b' }, by);
    await triggers.forgetHead('src-1', 'refs/heads/main', 'b');
    expect(await triggers.heads('src-1')).toHaveLength(1);
    await triggers.forgetHead('src-1', 'refs/heads/main');
    expect(await triggers.take('src-1', 'push/5', push('a'), by)).toBeDefined();
  });

  it('forgets what is settled and old, and nothing that waits', async () => {
    const { triggers } = underTest().store;
    await triggers.register(SOURCE, [], by);
    const taken = async (commit: string, atMs: number) =>
      (await triggers.take('src-1', `push/${commit}`, push(commit), { ...by, atMs })) ?? -1;
    const [old, waits, young] = [await taken('a', 10), await taken('b', 20), await taken('c', 30)];
    for (const number of [old, young]) await triggers.settle(number, { kind: 'passed-over', why: 'so' }, by);
    expect(await triggers.prune(10)).toBe(0);
    expect(await triggers.prune(30)).toBe(1);
    expect(await triggers.prune(30)).toBe(0);
    const left = await triggers.list({ source: 'src-1' }, { limit: 9 });
    expect(left.items.map(({ number }) => number)).toEqual([young, waits]);
  });

  it('keeps sources, what their files say now, and cursors', async () => {
    const { triggers } = underTest().store;
    await triggers.register(SOURCE, [], by);
    await triggers.register({ ...SOURCE, id: 'src-2' }, [], by);
    expect(await triggers.source('src-1')).toEqual(SOURCE);
    const { base: _, ...rest } = SOURCE;
    const facts = {
      component: 'store',
      triggers: SOURCE.triggers,
      checkout: { submodules: false, lfs: false },
    };
    expect(await triggers.update('src-1', facts, by)).toBe(true);
    expect(await triggers.source('src-1')).toEqual({ ...rest, ...facts });
    await triggers.take('src-1', 'push/1', push('a'), by);
    expect(await triggers.remove('src-1', by)).toBe(true);
    expect(await triggers.remove('src-1', by)).toBe(false);
    expect(await triggers.update('src-1', facts, by)).toBe(false);
    expect((await triggers.sources()).map(({ id }) => id)).toEqual(['src-2']);
    expect(await triggers.waiting(9)).toEqual([]);
    expect(await triggers.heads('src-1')).toEqual([]);
    expect(await triggers.cursor('events')).toBeUndefined();
    await triggers.note('events', 3);
    await triggers.note('events', 4);
    expect(await triggers.cursor('events')).toBe(4);
  });
}
