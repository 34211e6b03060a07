/**
 * What each step does to the world when all goes well. The preview of `kiln plan` runs the planner over it, so
 * that what is shown is what `deploy` would do; the property tests run it with a world that misbehaves.
 */
import type { InstanceId } from '../../domain/ids.ts';
import type { ServerGroup } from '../../domain/server-group.ts';
import type { Step } from './steps.ts';
import {
  type GroupWorld,
  type InstanceWorld,
  isAlive,
  isLeaving,
  isRouted,
  releaseOf,
  SETTLE_MS,
  type World,
} from './world.ts';

/** The world right after the step, before anything has come of it (instances still start, routers still check). */
export function applyStep(world: World, step: Step): World {
  switch (step.kind) {
    case 'publish':
      return publish(world);
    case 'shift':
      return publish({ ...world, service: { ...world.service, weights: step.weights } });
    case 'decide':
      return decide(world, step.decisions);
    case 'prepare':
      return { ...world, prepared: new Set([...world.prepared, step.release]) };
    case 'migrate':
      return decide(world, { migratedAtMs: world.nowMs });
    case 'verify':
      return decide(world, { verifiedAtMs: world.nowMs });
    case 'check':
      return decide(world, { checkedAtMs: world.nowMs });
    case 'scale':
      return checkRouting(startMissing(putWish(world, step.group), step.group));
    case 'drain':
    case 'keep-warm':
      return checkRouting(putWish(world, step.group));
    case 'retire':
      return checkRouting(stop(putWish(world, step.group), step.instances));
    case 'remove-group':
      return checkRouting({ ...world, groups: world.groups.filter((group) => group.name !== step.group) });
    case 'mark-bad':
      return markBad(world, step.release, step.why);
    case 'finish':
      return finish(world, step.state);
    case 'start-next':
      return { ...world, queued: false };
    case 'wait':
      return world;
  }
}

/** What time brings when nothing goes wrong: instances come up, routers see it, requests in flight end. */
export function letTimePass(world: World, ms: number): World {
  const nowMs = world.nowMs + ms;
  const groups = world.groups.map((group) => ({
    ...group,
    instances: group.instances.map((instance) => comeUp(world, group, instance)),
  }));
  return checkRouting({ ...world, nowMs, groups });
}

function comeUp(world: World, group: GroupWorld, instance: InstanceWorld): InstanceWorld {
  if (!isAlive(instance)) return instance;
  const running: InstanceWorld = {
    ...instance,
    phase: { kind: 'running', endpoint: { host: '127.0.0.1', port: 20_000 + instance.ordinal } },
    inFlight: 0,
  };
  if (group.wish === undefined || !isRouted(releaseOf(world, group.wish.release), group.wish.process))
    return running;
  return instance.router === 'unknown' ? { ...running, router: 'up' } : running;
}

function publish(world: World): World {
  const weights: Record<string, number> = {};
  const groups = world.groups.map((group) => {
    const wish = group.wish;
    if (wish === undefined || !isRouted(releaseOf(world, wish.release), wish.process)) return group;
    weights[group.name] = world.service.weights[group.name] ?? 0;
    return { ...group, instances: group.instances.map((instance) => enter(group, instance)) };
  });
  return { ...world, groups, routing: { inForce: true, weights } };
}

/** Into the routers with an endpoint, out of them without; draining when it leaves. */
function enter(group: GroupWorld, instance: InstanceWorld): InstanceWorld {
  const listens = instance.phase.kind === 'running' && instance.phase.endpoint !== undefined;
  if (!listens) return { ...instance, router: 'absent', routerDraining: false, inFlight: 0 };
  return {
    ...instance,
    router: instance.router === 'absent' ? 'unknown' : instance.router,
    routerDraining: isLeaving(group, instance),
  };
}

/** Finds out whether the routers' table still fits what it is made from. */
export function checkRouting(world: World): World {
  const fits = world.groups.every((group) => {
    const wish = group.wish;
    if (wish === undefined || !isRouted(releaseOf(world, wish.release), wish.process)) return true;
    const weightFits = world.routing.weights[group.name] === (world.service.weights[group.name] ?? 0);
    return weightFits && group.instances.every((instance) => sameEntry(enter(group, instance), instance));
  });
  const known = new Set<string>(world.groups.map((group) => group.name));
  const strangers = Object.keys(world.routing.weights).some((name) => !known.has(name));
  return { ...world, routing: { ...world.routing, inForce: fits && !strangers } };
}

function sameEntry(a: InstanceWorld, b: InstanceWorld): boolean {
  return a.router === b.router && a.routerDraining === b.routerDraining;
}

function putWish(world: World, wish: ServerGroup): World {
  const known = world.groups.some((group) => group.name === wish.name);
  const fresh: GroupWorld = {
    name: wish.name,
    wish,
    present: true,
    instances: [],
    health: { kind: 'steady' },
  };
  const groups = known
    ? world.groups.map((group) => (group.name === wish.name ? { ...group, wish } : group))
    : [...world.groups, fresh];
  return { ...world, groups };
}

function startMissing(world: World, wish: ServerGroup): World {
  return {
    ...world,
    groups: world.groups.map((group) => {
      if (group.name !== wish.name) return group;
      const alive = group.instances.filter((one) => isAlive(one) && !isLeaving(group, one));
      const missing = Math.max(0, wish.desired - alive.length);
      const next = Math.max(0, ...group.instances.map((one) => one.ordinal)) + 1;
      const started = Array.from({ length: missing }, (_, index) => newInstance(world, wish, next + index));
      return { ...group, health: { kind: 'steady' }, instances: [...group.instances, ...started] };
    }),
  };
}

function newInstance(world: World, wish: ServerGroup, ordinal: number): InstanceWorld {
  return {
    id: `${wish.name}-${ordinal}` as InstanceId,
    ordinal,
    phase: { kind: 'starting' },
    startedAtMs: world.nowMs - SETTLE_MS,
    router: 'absent',
    routerDraining: false,
    inFlight: 0,
    hasBeenReady: false,
  };
}

function stop(world: World, instances: readonly InstanceId[]): World {
  const groups = world.groups.map((group) => ({
    ...group,
    instances: group.instances.filter((one) => !instances.includes(one.id)),
  }));
  return { ...world, groups };
}

function decide(world: World, decisions: NonNullable<World['deployment']>['decisions']): World {
  const { deployment } = world;
  if (deployment === undefined) return world;
  return { ...world, deployment: { ...deployment, decisions: { ...decisions, ...deployment.decisions } } };
}

function markBad(world: World, number: number, why: string): World {
  const releases = new Map(world.releases);
  releases.set(number, { ...releaseOf(world, number), bad: { atMs: world.nowMs, why } });
  return { ...world, releases };
}

function finish(world: World, state: 'deployed' | 'failed' | 'cancelled'): World {
  const { deployment, ...rest } = world;
  if (deployment === undefined || state !== 'deployed') return rest;
  const releases = new Map(world.releases);
  releases.set(deployment.to, { ...releaseOf(world, deployment.to), servedAtMs: world.nowMs });
  return { ...rest, releases, service: { ...world.service, serving: deployment.to, stopped: false } };
}
