import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest, InstanceId, ProcessName, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { GroupSpec } from '../domain/server-group.ts';
import { groupHealth, planGroup, settleEnds } from './group-plan.ts';
import type { GroupRecord } from './group-records.ts';
import type { EngineInstance, EngineState } from './instance-engine.ts';
import { NO_HISTORY } from './restart-policy.ts';

const NOW = 1_000_000;

const spec: GroupSpec = {
  group: 'shop-web-stage-local-v001' as ServerGroupName,
  service: 'shop@stage/local' as ServiceKey,
  release: 1,
  version: '1.0.0',
  artifact: `sha256:${'0'.repeat(64)}` as Digest,
  process: {
    name: 'web' as ProcessName,
    run: 'node web.js',
    listens: true,
    standard: false,
    instances: { min: 1, desired: 1, max: 9 },
    stop: { signals: ['SIGTERM'], graceMs: 1_000 },
    volumes: [],
  },
  environment: {},
  files: [],
  desired: 1,
  retire: [],
};

const state = fc.oneof(
  fc.constant<EngineState>({ kind: 'starting' }),
  fc.constant<EngineState>({ kind: 'running' }),
  fc
    .record({
      cause: fc.constantFrom('exit', 'port-taken', 'stopped', 'lost', 'never-started'),
      livedMs: fc.nat(100_000),
    })
    .map(
      ({ cause, livedMs }): EngineState => ({
        kind: 'ended',
        cause,
        exitCode: 1,
        signal: null,
        endedAtMs: NOW - 200_000 + livedMs,
        why: 'exited with code 1',
      }),
    ),
);

const world = fc
  .record({
    states: fc.array(state, { maxLength: 8 }),
    leaving: fc.array(fc.nat(7), { maxLength: 3 }),
    desired: fc.nat(6),
    removing: fc.boolean(),
  })
  .map(({ states, leaving, desired, removing }) => {
    const instances = states.map(
      (one, ordinal): EngineInstance => ({
        id: `i-${ordinal}` as InstanceId,
        group: spec.group,
        service: spec.service,
        ordinal,
        kind: 'member',
        startedAtMs: NOW - 200_000,
        exclusiveVolumes: [],
        state: one,
      }),
    );
    const record: GroupRecord = {
      spec: { ...spec, desired },
      history: NO_HISTORY,
      counted: [],
      leaving: leaving.map((index) => `i-${index}` as InstanceId),
      removing,
    };
    return { instances, record: settleEnds(record, instances) };
  });

test('it stops what is to go and nothing else, and never starts more than is wanted', () => {
  fc.assert(
    fc.property(world, ({ record, instances }) => {
      const plan = planGroup(record, instances, NOW);
      const alive = instances.filter((one) => one.state.kind !== 'ended');
      const goes = (id: InstanceId) => record.removing || record.leaving.includes(id);
      expect(plan.stop).toEqual(alive.filter((one) => goes(one.id)).map((one) => one.id));
      const staying = alive.filter((one) => !goes(one.id));
      expect(plan.start.length).toBeLessThanOrEqual(Math.max(0, record.spec.desired - staying.length));
      const ordinals = [...staying.map((one) => one.ordinal), ...plan.start];
      expect(new Set(ordinals).size).toBe(ordinals.length);
      if (record.removing || record.history.bad !== undefined) expect(plan.start).toEqual([]);
    }),
    { numRuns: 1_000 },
  );
});

test('what is missing is started, now or at a time that it names, unless the group is bad or going', () => {
  fc.assert(
    fc.property(world, ({ record, instances }) => {
      const staying = instances.filter(
        (one) => one.state.kind !== 'ended' && !record.leaving.includes(one.id),
      ).length;
      const missing = Math.max(0, record.spec.desired - staying);
      if (record.removing || record.history.bad !== undefined || missing === 0) return;
      const plan = planGroup(record, instances, NOW);
      if (plan.wakeAtMs === undefined) expect(plan.start).toHaveLength(missing);
      else expect(plan.wakeAtMs).toBeGreaterThan(NOW);
      expect(planGroup(record, instances, plan.wakeAtMs ?? NOW).start).toHaveLength(missing);
    }),
    { numRuns: 1_000 },
  );
});

test('only what has ended is discarded, and an end is counted once', () => {
  fc.assert(
    fc.property(world, ({ record, instances }) => {
      const ended = new Set(instances.filter((one) => one.state.kind === 'ended').map((one) => one.id));
      for (const id of planGroup(record, instances, NOW).discard) expect(ended.has(id)).toBe(true);
      expect(settleEnds(record, instances)).toBe(record);
    }),
    { numRuns: 1_000 },
  );
});

test('an instance that was asked to stop is no sign of trouble', () => {
  const gone: EngineInstance = {
    id: 'i-0' as InstanceId,
    group: spec.group,
    service: spec.service,
    ordinal: 0,
    kind: 'member',
    startedAtMs: NOW - 10,
    exclusiveVolumes: [],
    state: {
      kind: 'ended',
      cause: 'exit',
      exitCode: 1,
      signal: null,
      endedAtMs: NOW,
      why: 'exited with code 1',
    },
  };
  const record: GroupRecord = { spec, history: NO_HISTORY, counted: [], leaving: [gone.id], removing: false };
  const settled = settleEnds(record, [gone]);
  expect(settled.history).toBe(NO_HISTORY);
  expect(groupHealth(settled, [gone], NOW)).toEqual({ kind: 'steady' });
  expect(planGroup(settled, [gone], NOW)).toEqual({ stop: [], discard: [gone.id], start: [0] });
});
