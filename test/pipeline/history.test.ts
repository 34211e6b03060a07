/** Retention with real stores and logs, and the health of pipelines from what the executor has stored. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { Executor } from '../../src/pipeline/executor/executor.ts';
import { Overdue } from '../../src/pipeline/executor/overdue.ts';
import { PipelineHealth } from '../../src/pipeline/health/pipeline-health.ts';
import { Retention } from '../../src/pipeline/history/retention.ts';
import { DiskTaskLogs } from '../../src/pipeline/logs/task-logs.ts';
import { type Task, TaskFailed } from '../../src/pipeline/task.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { check, deployment, image, release, service } from '../contracts/store-samples.ts';

const DAY = 86_400_000;
const { signal } = new AbortController();
const MACHINE = {
  StartAt: 'Build',
  States: {
    Build: {
      Type: 'Task',
      Resource: 'sometimes',
      Retry: [{ ErrorEquals: ['Flaky'], IntervalSeconds: 1, MaxAttempts: 1, BackoffRate: 1 }],
      End: true,
    },
  },
};

let folder = '';
let store: Store;
let executor: Executor;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-history-'));
  store = await openStore({ kind: 'sqlite', file: path.join(folder, 'kiln.db') }, { clock: systemClock });
  const sometimes: Task = {
    name: 'sometimes',
    does: 'fails as often as it is told',
    repeat: 'same-key',
    takesPlace: false,
    run: async ({ execution, request }) => {
      if (execution.includes('bad')) throw new TaskFailed('Broken', 'as told');
      if (execution.includes('flaky') && request.attempt === 0) throw new TaskFailed('Flaky', 'once');
      return 1;
    },
  };
  executor = new Executor({
    store: store.executions,
    events: store.events,
    clock: systemClock,
    log: { warn: console.error },
    holder: 'test',
    shares: false,
    randomBytes,
    tasks: new Map([['sometimes', sometimes]]),
    taskName: (resource) => resource,
    places: 4,
  });
  await executor.start();
});
afterEach(async () => {
  await executor.close();
  await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function run(ids: readonly string[]): Promise<void> {
  const definition = await executor.machines.put(await loadStateMachine(MACHINE));
  for (const id of ids) {
    const origin = { id, pipeline: 'shop', definition, input: {}, priority: 0 };
    await store.executions.create(origin, 'queue', { actor: 'alice', atMs: systemClock.now() });
  }
  while ((await store.executionHistory.search({ open: true }, { limit: 1 })).items.length > 0)
    await sleep(20);
}

it('what is open for longer than it may be is cancelled: what runs, and what waits for its turn behind it', async () => {
  const Wait = { Type: 'Wait', Seconds: 3_600, End: true };
  const machine = await loadStateMachine({ StartAt: 'Wait', States: { Wait } });
  const definition = await executor.machines.put(machine);
  const nowMs = systemClock.now();
  for (const [id, days, group] of [
    ['first', 31, 'shop'],
    ['behind', 31, 'shop'],
    ['young', 29, 'other'],
  ] as const) {
    const origin = { id, pipeline: 'shop', definition, input: {}, priority: 0, group };
    await store.executions.create(origin, 'queue', { actor: 'alice', atMs: nowMs - days * DAY });
  }
  const { executions } = store;
  const overdue = new Overdue({
    executions,
    longestMs: 30 * DAY,
    clock: systemClock,
    log: { warn: () => undefined },
  });
  expect((await overdue.round()).toSorted()).toEqual(['behind', 'first']);
  const statusOf = async (id: string) => (await executions.get(id))?.status;
  for (const id of ['first', 'behind'])
    await expect.poll(() => statusOf(id), { timeout: 30_000 }).toBe('ABORTED');
  expect(['PENDING', 'RUNNING']).toContain(await statusOf('young'));
  expect(await overdue.round()).toEqual([]);
});

it('health is told from what the executor has stored', async () => {
  await run(['e1', 'e2-flaky', 'e3-bad', 'e4-bad', 'e5-bad']);
  const health = new PipelineHealth({
    history: store.executionHistory,
    executions: store.executions,
    deployments: store.deployments,
    releases: store.releases,
    images: store.images,
    machines: executor.machines,
    clock: systemClock,
  });
  expect(await health.all()).toMatchObject([{ pipeline: 'shop', standing: 'red', failuresInRow: 3 }]);
  const report = await health.of('shop', 30);
  expect(report.recent[0]).toMatchObject({ id: 'e5-bad', error: 'Broken', cause: 'as told' });
  expect(report.flakySteps).toEqual([
    { state: 'Build', runs: 6, recovered: 1, lastAtMs: expect.any(Number), execution: 'e2-flaky' },
  ]);
  expect(report.durations?.p90Ms).toBeGreaterThan(900);
  expect(report.dora).toMatchObject({ days: 30, deployments: 0 });
  expect(await health.of('nobody', 7)).toMatchObject({ standing: 'unknown', recent: [], flakySteps: [] });
});

it('the four figures are told from deployments to live, and the commits of their images', async () => {
  const hour = 3_600_000;
  const begin = systemClock.now() - 10 * hour;
  const at = (hours: number) => ({ actor: 'alice', atMs: begin + hours * hour });
  for (const n of [1, 2, 3]) {
    const tags = { 'git.committed-at': new Date(begin + (n - 2) * hour).toISOString() };
    const made = await store.images.create({ ...image(n), tags }, at(0));
    await store.images.recordCheck(made.id, check(true), at(0));
    const of = { image: made.id, version: made.version };
    await store.releases.create({ ...release(), ...of }, at(0));
  }
  const { fence = -1 } = (await store.leases.acquire(service, 'me', DAY, begin)) ?? {};
  const deploy = async (
    from: number,
    to: number,
    state: 'deployed' | 'failed',
    reason: 'deploy' | 'rollback',
  ) => {
    const { id } = await store.deployments.create(deployment(to, { reason }), at(from));
    await store.deployments.decide(id, { startedAtMs: at(from).atMs }, fence, at(from));
    await store.deployments.finish(id, { state }, fence, at(from + 0.5));
  };
  await deploy(1, 1, 'deployed', 'deploy'); // committed 1 h before the beginning, live after 1.5 h
  await deploy(2, 2, 'deployed', 'deploy'); // committed at the beginning, live after 2.5 h
  await deploy(3, 1, 'deployed', 'rollback'); // 2 was bad for an hour
  await deploy(4, 3, 'failed', 'deploy'); // Kiln went back by itself within half an hour
  const health = new PipelineHealth({
    history: store.executionHistory,
    executions: store.executions,
    deployments: store.deployments,
    releases: store.releases,
    images: store.images,
    machines: executor.machines,
    clock: systemClock,
  });
  const { dora } = await health.of('storefront', 1);
  expect(dora).toEqual({
    days: 1,
    deployments: 2,
    deploymentsPerDay: 2,
    leadTimeMs: 2.5 * hour,
    changes: 3,
    failedChanges: 2,
    changeFailureRate: 2 / 3,
    restoreMs: 0.5 * hour,
  });
});

it('what is not kept goes with its logs; logs of what the store does not know go too', async () => {
  const ids = Array.from({ length: 8 }, (_, n) => `e${n}`);
  await run(ids);
  const logs = new DiskTaskLogs(path.join(folder, 'logs'), systemClock, { warn: console.error });
  for (const execution of [...ids, 'left-by-a-crash']) {
    const about = { key: `${execution}/t1`, execution, pipeline: 'shop', state: 'Build', secrets: [] };
    await (await logs.open(about)).close();
  }
  let aheadMs = 0;
  const retention = new Retention({
    history: store.executionHistory,
    executions: store.executions,
    logs,
    keeping: { all: { executions: 3, days: 30 }, of: { shop: { executions: 5 } } },
    clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
    log: { info: () => undefined },
  });
  expect(await retention.round(signal)).toBe(0); // all ended just now
  expect((await logs.executions()).toSorted()).toEqual(ids);
  aheadMs = DAY;
  expect(await retention.round(signal)).toBe(3);
  expect((await logs.executions()).toSorted()).toEqual(ids.slice(3));
  expect(await store.executions.get('e2')).toBeUndefined();
  aheadMs = 31 * DAY;
  expect(await retention.round(signal)).toBe(4);
  expect(await logs.executions()).toEqual(['e7']);
});
