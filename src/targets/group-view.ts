/** Between what callers say and see of a group and what is kept of it. Pure. */
import type { ServerGroupName } from '../domain/ids.ts';
import type { GroupObservation, GroupSpec, InstanceView } from '../domain/server-group.ts';
import { groupHealth, settleEnds } from './group-plan.ts';
import type { GroupRecord } from './group-records.ts';
import type { EngineInstance } from './instance-engine.ts';
import { NO_HISTORY } from './restart-policy.ts';

/** Undefined when nothing is wanted of the group and nothing of it is there. */
export function observeGroup(
  group: ServerGroupName,
  record: GroupRecord | undefined,
  held: readonly EngineInstance[],
  nowMs: number,
): GroupObservation | undefined {
  if (record === undefined && held.length === 0) return undefined;
  const members = held.filter((instance) => instance.kind === 'member');
  const instances = members.map((instance) => view(instance, record)).sort((a, b) => a.ordinal - b.ordinal);
  if (record === undefined) return { group, instances, health: { kind: 'steady' } };
  const settled = settleEnds(record, members);
  const { lastWhy } = settled.history;
  return {
    group,
    instances,
    health: groupHealth(settled, members, nowMs),
    ...(lastWhy === undefined ? {} : { lastEnd: lastWhy }),
  };
}

/** The record that states this wish, with what is remembered of the group. */
export function wished(
  spec: GroupSpec,
  before: GroupRecord | undefined,
  instances: readonly EngineInstance[],
  afresh: boolean,
): GroupRecord {
  const members = instances.filter((one) => one.group === spec.group && one.kind === 'member');
  const there = new Set(members.map((one) => one.id));
  const leaving = new Set([...(before?.leaving ?? []), ...spec.retire].filter((id) => there.has(id)));
  const forget = before === undefined || (afresh && before.history.bad !== undefined);
  return {
    spec,
    history: forget ? NO_HISTORY : before.history,
    counted: forget
      ? members.filter((one) => one.state.kind === 'ended').map((one) => one.id)
      : before.counted,
    leaving: [...leaving],
    removing: false,
  };
}

function view(instance: EngineInstance, record: GroupRecord | undefined): InstanceView {
  const { id, ordinal, startedAtMs, state } = instance;
  const goes = record === undefined || record.removing || record.leaving.includes(id);
  if (state.kind === 'ended') {
    const { exitCode, signal } = state;
    return { id, ordinal, startedAtMs, phase: { kind: 'exited', exitCode, signal } };
  }
  return { id, ordinal, startedAtMs, phase: goes ? { kind: 'stopping' } : state };
}
