/**
 * Rolling: batch by batch, the new group grows first, takes its share of traffic once healthy, and only then
 * as many old instances drain and stop. Capacity is never below the size, so never below the minimum.
 */
import type { ProcessSpec } from '../../domain/component.ts';
import type { Release } from '../../domain/release.ts';
import type { ServerGroup } from '../../domain/server-group.ts';
import { firstAct, sameWeights, scaleTo, waitForReady } from './groups.ts';
import type { Step } from './steps.ts';
import { type GroupWorld, groupFor, isAlive, isLetGo, isReady, isRouted, type World } from './world.ts';

export function roll(
  world: World,
  release: Release,
  sizes: Readonly<Record<string, number>>,
): Step | undefined {
  return firstAct(
    release.settings.processes.map((process) =>
      rollProcess(world, release, process, sizes[process.name] ?? 0),
    ),
  );
}

function rollProcess(world: World, release: Release, process: ProcessSpec, size: number): Step | undefined {
  const grown = groupFor(world, release.number, process.name);
  const old = oldGroup(world, release, process);
  const batch = Math.max(1, release.settings.deploy.batch);
  const reached = grown?.wish?.desired ?? 0;
  const first = old === undefined ? size : Math.min(batch, size);
  return (
    scaleTo(world, release, process, Math.max(reached, first)) ??
    waitForReady(world, grown, reached) ??
    shareTraffic(world, release, process, grown, old, size) ??
    (old === undefined ? undefined : shrink(world, process, old, size - reached)) ??
    (reached < size ? scaleTo(world, release, process, Math.min(reached + batch, size)) : undefined)
  );
}

function oldGroup(world: World, release: Release, process: ProcessSpec): GroupWorld | undefined {
  const { serving } = world.service;
  if (serving === undefined || serving === release.number) return undefined;
  return groupFor(world, serving, process.name);
}

/** The groups share traffic as they share instances; everything else has none. */
function shareTraffic(
  world: World,
  release: Release,
  process: ProcessSpec,
  grown: GroupWorld | undefined,
  old: GroupWorld | undefined,
  size: number,
): Step | undefined {
  if (!isRouted(release, process.name) || grown?.wish === undefined) return undefined;
  const weights: Record<string, number> = { ...world.service.weights };
  for (const group of world.groups) if (group.wish?.process === process.name) weights[group.name] = 0;
  weights[grown.name] = grown.wish.desired;
  if (old !== undefined) weights[old.name] = Math.max(0, size - grown.wish.desired);
  if (sameWeights(weights, world.service.weights)) return undefined;
  return { kind: 'shift', weights, why: `${grown.wish.desired} of ${size} are healthy` };
}

function shrink(world: World, process: ProcessSpec, old: GroupWorld, target: number): Step | undefined {
  const wish = old.wish;
  if (wish === undefined) return undefined;
  if (wish.desired > Math.max(0, target)) return drainDownTo(world, process, old, wish, Math.max(0, target));
  const alive = old.instances.filter(isAlive);
  const leaving = wish.leaving.map((one) => ({
    ...one,
    view: alive.find((view) => view.id === one.instance),
  }));
  if (leaving.length === 0) return undefined;
  const done = leaving.filter(
    (one) => one.view === undefined || isLetGo(one.view) || one.untilMs <= world.nowMs,
  );
  if (done.length > 0) {
    const instances = done.map((one) => one.instance);
    const rest = wish.leaving.filter((one) => !instances.includes(one.instance));
    return { kind: 'retire', group: { ...wish, leaving: rest }, instances };
  }
  const untilMs = Math.min(...leaving.map((one) => one.untilMs));
  return {
    kind: 'wait',
    reason: `${leaving.length} of ${old.name} have answered what they had begun`,
    untilMs,
  };
}

/** Those that cannot serve go first, then the youngest. */
function drainDownTo(
  world: World,
  process: ProcessSpec,
  old: GroupWorld,
  wish: ServerGroup,
  target: number,
): Step {
  const staying = old.instances
    .filter((one) => isAlive(one) && !wish.leaving.some((leaving) => leaving.instance === one.id))
    .sort((a, b) => Number(isReady(world, old, b)) - Number(isReady(world, old, a)) || a.ordinal - b.ordinal);
  const untilMs = world.nowMs + process.stop.graceMs;
  const picked = staying.slice(target).map((one) => ({ instance: one.id, untilMs }));
  return { kind: 'drain', group: { ...wish, desired: target, leaving: [...wish.leaving, ...picked] } };
}
