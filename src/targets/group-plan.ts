/** What is to be done for one group, from what is wanted and what is there. Pure. */
import type { InstanceId } from '../domain/ids.ts';
import type { GroupHealth } from '../domain/server-group.ts';
import type { GroupRecord } from './group-records.ts';
import type { EngineInstance } from './instance-engine.ts';
import { RESTART_LIMITS, type RestartLimits, recordEnd } from './restart-policy.ts';

export interface GroupPlan {
  readonly stop: readonly InstanceId[];
  readonly discard: readonly InstanceId[];
  /** Ordinals to start, the lowest free ones. */
  readonly start: readonly number[];
  /** When there will be more to start, unless something changes before. */
  readonly wakeAtMs?: number;
}

/** Takes what ended since into the record; the same record when nothing did. */
export function settleEnds(
  record: GroupRecord,
  instances: readonly EngineInstance[],
  limits: RestartLimits = RESTART_LIMITS,
): GroupRecord {
  const known = new Set(instances.map((instance) => instance.id));
  const counted = record.counted.filter((id) => known.has(id));
  const leaving = record.leaving.filter((id) => known.has(id));
  let history = record.history;
  for (const instance of byEndTime(instances)) {
    if (instance.state.kind !== 'ended' || counted.includes(instance.id)) continue;
    counted.push(instance.id);
    if (leaving.includes(instance.id) || instance.state.cause === 'stopped') continue;
    const { endedAtMs, cause, why } = instance.state;
    const startedAtMs = instance.startedAtMs;
    const othersUp = instances.some(
      (other) => other.state.kind === 'running' && endedAtMs - other.startedAtMs >= limits.upAfterMs,
    );
    const blame = cause === 'exit';
    history = recordEnd(history, { startedAtMs, endedAtMs, othersUp, blame, why }, limits);
  }
  const same =
    history === record.history &&
    counted.length === record.counted.length &&
    leaving.length === record.leaving.length;
  return same ? record : { ...record, history, counted, leaving };
}

/** Call with a settled record. An ended instance stays to be seen until its place is taken again. */
export function planGroup(
  record: GroupRecord,
  instances: readonly EngineInstance[],
  nowMs: number,
): GroupPlan {
  const leaving = new Set(record.leaving);
  const goes = (instance: EngineInstance) => record.removing || leaving.has(instance.id);
  const alive = instances.filter((instance) => instance.state.kind !== 'ended');
  const dead = instances.filter((instance) => instance.state.kind === 'ended');
  const staying = alive.filter((instance) => !goes(instance));
  const stop = alive.filter(goes).map((instance) => instance.id);
  const deadForGood = dead.filter((instance) => goes(instance) || isStopped(instance));
  const deadToReplace = dead.filter((instance) => !deadForGood.includes(instance));

  const missing = Math.max(0, record.spec.desired - staying.length);
  const surplus = deadToReplace.slice(0, Math.max(0, deadToReplace.length - missing));
  const mayStart = !record.removing && record.history.bad === undefined;
  const waits = mayStart && missing > 0 && nowMs < record.history.notBeforeMs;
  const startNow = mayStart && !waits ? missing : 0;
  const replaced = startNow > 0 ? deadToReplace : surplus;
  return {
    stop,
    discard: [...deadForGood, ...replaced].map((instance) => instance.id),
    start: lowestFree(staying, startNow),
    ...(waits ? { wakeAtMs: record.history.notBeforeMs } : {}),
  };
}

export function groupHealth(
  record: GroupRecord,
  instances: readonly EngineInstance[],
  nowMs: number,
): GroupHealth {
  const { bad, notBeforeMs, lastWhy } = record.history;
  if (bad !== undefined) return { kind: 'bad', why: bad };
  const { wakeAtMs } = planGroup(record, instances, nowMs);
  if (wakeAtMs === undefined) return { kind: 'steady' };
  return { kind: 'backing-off', untilMs: notBeforeMs, why: lastWhy ?? 'An instance ended.' };
}

function isStopped(instance: EngineInstance): boolean {
  return instance.state.kind === 'ended' && instance.state.cause === 'stopped';
}

function byEndTime(instances: readonly EngineInstance[]): readonly EngineInstance[] {
  const endOf = (instance: EngineInstance) =>
    instance.state.kind === 'ended' ? instance.state.endedAtMs : Number.POSITIVE_INFINITY;
  return [...instances].sort((a, b) => endOf(a) - endOf(b));
}

function lowestFree(taken: readonly EngineInstance[], count: number): readonly number[] {
  const used = new Set(taken.map((instance) => instance.ordinal));
  const free: number[] = [];
  for (let ordinal = 0; free.length < count; ordinal += 1) if (!used.has(ordinal)) free.push(ordinal);
  return free;
}
