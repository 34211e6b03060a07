/** The world as it may be: instances die, never become healthy, appear late; routers lose sight; people change their minds. */

import { applyStep, checkRouting, letTimePass } from '../../src/deploy/planner/simulate.ts';
import type { Step } from '../../src/deploy/planner/steps.ts';
import {
  type GroupWorld,
  type InstanceWorld,
  isAlive,
  isReady,
  type World,
} from '../../src/deploy/planner/world.ts';
import type { ReleaseNumber } from '../../src/domain/ids.ts';

/** How the instances of a release behave once started. */
export type Temper = 'good' | 'late' | 'never-healthy' | 'one-sick' | 'crashing' | 'port-stolen';

export interface Nature {
  readonly tempers: ReadonlyMap<ReleaseNumber, Temper>;
  /** Outcomes of the acts that may fail. */
  readonly migrationFails: boolean;
  readonly verifyFails: boolean;
  readonly checksFail: boolean;
  /** Every instance that takes traffic has requests in flight; they end some time after it drains. */
  readonly alwaysBusy: boolean;
}

export type Mishap = 'none' | 'kill-one' | 'lose-memory' | 'cancel' | 'busy' | 'router-blinks' | 'time-jumps';

const CRASHES_UNTIL_BAD = 3;
const LATE_MS = 20_000;

export function strike(world: World, mishap: Mishap, pick: number): World {
  switch (mishap) {
    case 'none':
      return world;
    case 'kill-one':
      return changeOne(world, pick, (one) => ({
        ...one,
        phase: { kind: 'exited', exitCode: 1, signal: null },
        inFlight: 0,
      }));
    case 'busy':
      return changeOne(world, pick, (one) => (one.router === 'up' ? { ...one, inFlight: 3 } : one));
    case 'router-blinks':
      return changeOne(world, pick, (one) => (one.router === 'up' ? { ...one, router: 'down' } : one));
    case 'lose-memory':
      return { ...world, prepared: new Set(), routing: { ...world.routing, inForce: false } };
    case 'cancel':
      return world.deployment === undefined
        ? world
        : {
            ...world,
            deployment: {
              ...world.deployment,
              decisions: { cancelRequestedAtMs: world.nowMs, ...world.deployment.decisions },
            },
          };
    case 'time-jumps':
      return { ...world, nowMs: world.nowMs + pick };
  }
}

function changeOne(world: World, pick: number, change: (one: InstanceWorld) => InstanceWorld): World {
  const all = world.groups.flatMap((group) => group.instances.filter(isAlive).map((one) => one.id));
  const chosen = all[pick % Math.max(1, all.length)];
  const groups = world.groups.map((group) => ({
    ...group,
    instances: group.instances.map((one) => (one.id === chosen ? change(one) : one)),
  }));
  return checkRouting({ ...world, groups });
}

/** As the owner does who looks. */
export function remember(world: World): World {
  const groups = world.groups.map((group) => ({
    ...group,
    instances: group.instances.map((one) =>
      isReady(world, group, one) ? { ...one, hasBeenReady: true } : one,
    ),
  }));
  return { ...world, groups };
}

export function keepBusy(world: World): World {
  const groups = world.groups.map((group) => ({
    ...group,
    instances: group.instances.map((one) =>
      one.router === 'up' && !one.routerDraining && (world.routing.weights[group.name] ?? 0) > 0
        ? { ...one, inFlight: 2 }
        : one,
    ),
  }));
  return { ...world, groups };
}

/** The step as this nature lets it come out. */
export function take(world: World, step: Step, nature: Nature): World {
  const fails =
    (step.kind === 'migrate' && nature.migrationFails) ||
    (step.kind === 'verify' && nature.verifyFails) ||
    (step.kind === 'check' && nature.checksFail);
  if (!fails) return applyStep(world, step);
  return applyStep(world, {
    kind: 'decide',
    decisions: { abandoned: { atMs: world.nowMs, code: `${step.kind}.failed`, why: 'nature said no' } },
  });
}

export function passTime(world: World, ms: number, nature: Nature): World {
  const ideal = letTimePass(world, ms);
  const groups = ideal.groups.map((group, index) => {
    const before = world.groups[index] ?? group;
    return live(ideal.nowMs, before, group, nature.tempers.get(group.wish?.release ?? -1) ?? 'good');
  });
  return checkRouting({ ...ideal, groups });
}

function live(nowMs: number, before: GroupWorld, after: GroupWorld, temper: Temper): GroupWorld {
  if (temper === 'good') return restart(nowMs, { ...after, instances: after.instances.map(recover) });
  if (temper === 'late') {
    const instances = after.instances.map((one, index) =>
      nowMs - one.startedAtMs < LATE_MS ? (before.instances[index] ?? one) : one,
    );
    return restart(nowMs, { ...after, instances });
  }
  if (temper === 'never-healthy' || temper === 'one-sick') {
    const instances = after.instances.map((one, index) =>
      one.router === 'up' && (index === 0 || temper === 'never-healthy')
        ? { ...one, router: 'down' as const }
        : one,
    );
    return restart(nowMs, { ...after, instances });
  }
  if (temper === 'port-stolen') return loseItsPort(nowMs, after);
  return crash(nowMs, after);
}

/** What the routers lost sight of for a moment comes back. */
function recover(one: InstanceWorld): InstanceWorld {
  return one.router === 'down' ? { ...one, router: 'up' } : one;
}

/** What a target does by itself: the dead are replaced as long as they are wanted. */
function restart(nowMs: number, group: GroupWorld): GroupWorld {
  const wish = group.wish;
  if (wish === undefined || group.health.kind === 'bad') return group;
  const alive = group.instances.filter(isAlive);
  const staying = alive.filter((one) => !wish.leaving.some((leaving) => leaving.instance === one.id));
  const next = Math.max(0, ...group.instances.map((one) => one.ordinal)) + 1;
  const started = Array.from({ length: Math.max(0, wish.desired - staying.length) }, (_, index) => ({
    id: `${group.name}-${next + index}` as InstanceWorld['id'],
    ordinal: next + index,
    phase: { kind: 'starting' as const },
    startedAtMs: nowMs,
    router: 'absent' as const,
    routerDraining: false,
    inFlight: 0,
    hasBeenReady: false,
  }));
  return { ...group, health: { kind: 'steady' }, instances: [...alive, ...started] };
}

/** Every instance ends soon after it was started, and the release is not to blame: it never counts as bad. */
function loseItsPort(nowMs: number, group: GroupWorld): GroupWorld {
  const wish = group.wish;
  if (wish === undefined || wish.desired === 0) return group;
  if (group.health.kind === 'backing-off') {
    return group.health.untilMs > nowMs ? group : restart(nowMs, group);
  }
  const why = 'its port is taken by another process';
  return { ...group, instances: [], health: { kind: 'backing-off', untilMs: nowMs + 500, why } };
}

function crash(nowMs: number, group: GroupWorld): GroupWorld {
  const wish = group.wish;
  if (wish === undefined || wish.desired === 0) return group;
  const crashes = Math.max(0, ...group.instances.map((one) => one.ordinal));
  if (crashes > CRASHES_UNTIL_BAD * wish.desired) {
    return { ...group, instances: [], health: { kind: 'bad', why: 'it exits at once' } };
  }
  return restart(nowMs, {
    ...group,
    instances: group.instances.map((one) => ({
      ...one,
      phase: { kind: 'exited', exitCode: 1, signal: null },
    })),
  });
}
