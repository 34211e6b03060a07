import { expect, it } from 'vitest';
import { readyCount, SETTLE_MS, type World } from '../../src/deploy/planner/world.ts';
import { beginning, runningGroups } from './worlds.ts';

const shape = {
  strategy: 'blue-green',
  size: 1,
  min: 1,
  batch: 1,
  worker: true,
  exclusive: false,
  migrate: false,
  checks: false,
  keepWarm: true,
} as const;

/** Ready workers of the release being deployed, right after they were started. */
function readyWorkers(world: World): number {
  const to = world.deployment && world.releases.get(world.deployment.to);
  const worker = to && runningGroups(to, world.nowMs, false).find((one) => one.wish?.process === 'worker');
  if (worker === undefined) throw new Error('the world has no worker');
  const justStarted = worker.instances.map((one) => ({ ...one, startedAtMs: world.nowMs - SETTLE_MS / 2 }));
  return readyCount(world, { ...worker, instances: justStarted });
}

it('lets a worker settle before it counts, unless its release has served and is gone back to', () => {
  const back = beginning(shape, 'rollback-warm');
  expect(readyWorkers(back)).toBe(1);
  expect(readyWorkers(beginning(shape, 'replace'))).toBe(0);
  const neverServed = [...back.releases].map(([number, { servedAtMs: _, ...one }]) => [number, one] as const);
  expect(readyWorkers({ ...back, releases: new Map(neverServed) })).toBe(0);
});
