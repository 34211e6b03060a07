/** The pieces that every mode is made of: wishes for groups, shares of traffic, and letting a group go. */
import type { ProcessSpec } from '../../domain/component.ts';
import type { Release } from '../../domain/release.ts';
import { type ServerGroup, serverGroupName } from '../../domain/server-group.ts';
import type { Step } from './steps.ts';
import {
  exclusiveVolumes,
  type GroupWorld,
  groupFor,
  isAlive,
  isLetGo,
  isRouted,
  processOf,
  readyCount,
  releaseOf,
  type World,
} from './world.ts';

export type Wait = Extract<Step, { kind: 'wait' }>;

export function wishFor(release: Release, process: ProcessSpec, desired: number): ServerGroup {
  const { component, environment, number, settings } = release;
  return {
    name: serverGroupName(component, process.name, environment, number),
    component,
    environment,
    process: process.name,
    release: number,
    role: 'main',
    target: settings.target,
    desired,
    leaving: [],
  };
}

/** Brings the group of a process to a size, undoing what had been decided to let it go. */
export function scaleTo(
  world: World,
  release: Release,
  process: ProcessSpec,
  size: number,
): Step | undefined {
  const wish = groupFor(world, release.number, process.name)?.wish;
  if (size === 0 && wish === undefined) return undefined;
  const asWished =
    wish !== undefined &&
    wish.desired === size &&
    wish.leaving.length === 0 &&
    wish.keepWarmUntilMs === undefined;
  if (asWished) return undefined;
  const group = { ...wishFor(release, process, size), askedAtMs: world.nowMs };
  return { kind: 'scale', group, from: wish?.desired ?? 0 };
}

/** All traffic of every routed process to this release, none to any other group. */
export function allTrafficTo(world: World, release: Release): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const group of world.groups) {
    const wish = group.wish;
    if (wish === undefined || !isRouted(releaseOf(world, wish.release), wish.process)) continue;
    weights[group.name] = wish.release === release.number && isRouted(release, wish.process) ? 100 : 0;
  }
  return weights;
}

/** Zero and absent are one. */
export function sameWeights(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): boolean {
  return [...Object.keys(a), ...Object.keys(b)].every((group) => (a[group] ?? 0) === (b[group] ?? 0));
}

export function waitForReady(world: World, group: GroupWorld | undefined, size: number): Wait | undefined {
  if (size === 0) return undefined;
  if (group === undefined) return { kind: 'wait', reason: 'the server group exists' };
  const ready = readyCount(world, group);
  if (ready >= size) return undefined;
  const trouble = group.health.kind === 'backing-off' ? `; ${group.health.why}` : '';
  return { kind: 'wait', reason: `${group.name} is healthy`, progress: `${ready} of ${size}${trouble}` };
}

/**
 * Takes a group away: its instances drain, and it is removed when every router has let go of them or
 * their time is up. Its share of traffic must have been taken from it before.
 */
export function letGo(world: World, group: GroupWorld, why: string): Step {
  const wish = group.wish;
  if (wish === undefined) return { kind: 'remove-group', group: group.name, why };
  const alive = group.instances.filter(isAlive);
  const leaving = new Map(wish.leaving.map((one) => [one.instance, one]));
  const staying = alive.filter((instance) => !leaving.has(instance.id));
  const release = releaseOf(world, wish.release);
  if (staying.length > 0) {
    const graceMs = processOf(release, wish.process)?.stop.graceMs ?? 0;
    const added = staying.map((instance) => ({ instance: instance.id, untilMs: world.nowMs + graceMs }));
    return { kind: 'drain', group: { ...wish, desired: 0, leaving: [...wish.leaving, ...added] } };
  }
  const held = alive.filter((one) => !isLetGo(one) && (leaving.get(one.id)?.untilMs ?? 0) > world.nowMs);
  if (held.length === 0) return { kind: 'remove-group', group: group.name, why };
  const untilMs = Math.min(...held.map((one) => leaving.get(one.id)?.untilMs ?? 0));
  return { kind: 'wait', reason: `${group.name} has answered what it had begun`, untilMs };
}

/**
 * Before a release starts: groups of others that hold a volume which only one instance may hold give up
 * their traffic, drain and go. Requests wait in the router meanwhile.
 */
export function makeRoom(world: World, release: Release): Step | undefined {
  for (const group of world.groups) {
    const wish = group.wish;
    if (wish === undefined || wish.release === release.number) continue;
    const held = exclusiveVolumes(processOf(releaseOf(world, wish.release), wish.process));
    const wanted = release.settings.processes.flatMap((process) => exclusiveVolumes(process));
    const volume = held.find((name) => wanted.includes(name));
    if (volume === undefined) continue;
    if ((world.service.weights[group.name] ?? 0) > 0) {
      const weights = { ...world.service.weights, [group.name]: 0 };
      return { kind: 'shift', weights, why: `requests wait while the volume ${volume} changes hands` };
    }
    return letGo(world, group, `its volume ${volume} may be held only once`);
  }
  return undefined;
}

/** Whether a release could have all traffic without capacity falling below the minimum, or below what there is now. */
export function canTakeOver(world: World, release: Release): boolean {
  return release.settings.processes
    .filter((process) => isRouted(release, process.name))
    .every((process) => {
      const group = groupFor(world, release.number, process.name);
      const needed = Math.max(1, Math.min(process.instances.min, servingNow(world, process)));
      return group !== undefined && readyCount(world, group) >= needed;
    });
}

function servingNow(world: World, process: ProcessSpec): number {
  return world.groups
    .filter((group) => group.wish?.process === process.name && (world.service.weights[group.name] ?? 0) > 0)
    .reduce((sum, group) => sum + readyCount(world, group), 0);
}

/** Does one thing at a time: an act goes before any wait; of the waits the one that ends first is named. */
export function firstAct(steps: readonly (Step | undefined)[]): Step | undefined {
  const present = steps.filter((step) => step !== undefined);
  const act = present.find((step) => step.kind !== 'wait');
  if (act !== undefined) return act;
  const waits = present.filter((step) => step.kind === 'wait');
  return waits.sort((a, b) => (a.untilMs ?? Infinity) - (b.untilMs ?? Infinity))[0];
}
