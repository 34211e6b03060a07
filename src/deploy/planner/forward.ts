/** Going forward: begin → prepare → make room → migrate → bring up and shift → prove → finish. */
import type { ProcessSpec } from '../../domain/component.ts';
import type { Decisions, Deployment } from '../../domain/deployment.ts';
import type { Release } from '../../domain/release.ts';
import { allTrafficTo, firstAct, makeRoom, sameWeights, scaleTo, waitForReady } from './groups.ts';
import { roll } from './rolling.ts';
import type { Step } from './steps.ts';
import {
  type GroupWorld,
  groupFor,
  groupsOf,
  isAlive,
  isReady,
  isRouted,
  processOf,
  readyCount,
  releaseOf,
  type World,
} from './world.ts';

const STARTUP_NEXT =
  'Find out from its log what it waits for; if it only needs longer, raise `startup` of its health check.';

export function goForward(world: World, deployment: Deployment): Step {
  const release = releaseOf(world, deployment.to);
  const sizes = deployment.decisions.sizes?.to;
  if (sizes === undefined) return begin(world, deployment, release);
  return (
    giveUp(world, deployment) ??
    prepare(world, release) ??
    makeRoom(world, release) ??
    migrate(deployment, release) ??
    (deployment.strategy === 'rolling'
      ? roll(world, release, sizes)
      : replaceAtOnce(world, release, sizes)) ??
    prove(deployment, release) ?? { kind: 'finish', state: 'deployed' }
  );
}

function begin(world: World, deployment: Deployment, release: Release): Step {
  const from = world.service.serving === undefined ? undefined : releaseOf(world, world.service.serving);
  const decisions: Decisions = {
    startedAtMs: world.nowMs,
    deadlineMs: world.nowMs + release.settings.deploy.timeoutMs,
    sizes: sizesFor(world, release, from?.number === deployment.to ? undefined : from),
  };
  return { kind: 'decide', decisions };
}

/**
 * A new release starts with as many instances as run now, within its own bounds; where its author has
 * declared another number than the release before it, that number counts.
 */
function sizesFor(
  world: World,
  release: Release,
  from: Release | undefined,
): NonNullable<Decisions['sizes']> {
  const to: Record<string, number> = {};
  const before: Record<string, number> = {};
  for (const process of from?.settings.processes ?? []) {
    const running =
      from === undefined ? undefined : groupFor(world, from.number, process.name)?.wish?.desired;
    before[process.name] = running ?? process.instances.desired;
  }
  for (const process of release.settings.processes) {
    const { min, desired, max } = process.instances;
    const previous = from === undefined ? undefined : processOf(from, process.name);
    const running = world.service.stopped ? undefined : before[process.name];
    const carriedOver = previous?.instances.desired === desired ? running : undefined;
    to[process.name] = Math.min(max, Math.max(min, carriedOver ?? desired));
  }
  return { to, from: before };
}

/** The reasons to abandon, the most telling first. */
function giveUp(world: World, deployment: Deployment): Step | undefined {
  const { decisions } = deployment;
  const abandon = (code: string, why: string, next?: string): Step => ({
    kind: 'decide',
    decisions: { abandoned: { atMs: world.nowMs, code, why, ...(next === undefined ? {} : { next }) } },
  });
  if (decisions.cancelRequestedAtMs !== undefined) return abandon('deployment.cancelled', 'it was cancelled');
  for (const group of groupsOf(world, deployment.to)) {
    if (group.health.kind === 'bad') return abandon('release.bad', `${group.name}: ${group.health.why}`);
    if (hasLostItsTraffic(world, deployment, group)) {
      return abandon('deployment.failed', `${group.name} stopped being healthy after it had got traffic`);
    }
    const late = startupExceeded(world, deployment, group);
    if (late !== undefined) return abandon('deployment.failed', late, STARTUP_NEXT);
  }
  if (decisions.deadlineMs !== undefined && world.nowMs >= decisions.deadlineMs) {
    return abandon('deployment.timeout', `it was not done in time: ${whatIsMissing(world, deployment)}`);
  }
  return undefined;
}

/** It gets requests and nobody can answer them, while what served before still could. */
function hasLostItsTraffic(world: World, deployment: Deployment, group: GroupWorld): boolean {
  const { serving } = world.service;
  if (group.wish === undefined || serving === undefined || serving === deployment.to) return false;
  const before = groupFor(world, serving, group.wish.process);
  return (
    (world.routing.weights[group.name] ?? 0) > 0 &&
    readyCount(world, group) === 0 &&
    before !== undefined &&
    readyCount(world, before) > 0
  );
}

/**
 * Why the group has not come up in the time that its health check gives (`health.startup`): an instance that had
 * all of it and was never ready, or instances that keep ending. Counted within this deployment, since an instance
 * kept warm was healthy long before. What was ready once and is not now has until the deployment's own deadline.
 */
function startupExceeded(world: World, deployment: Deployment, group: GroupWorld): string | undefined {
  const { wish } = group;
  const process = wish && processOf(releaseOf(world, wish.release), wish.process);
  if (wish === undefined || wish.desired === 0 || process?.health === undefined) return undefined;
  const { startupMs } = process.health;
  const begunMs = deployment.decisions.startedAtMs ?? world.nowMs;
  const hadItsTime = (sinceMs: number) => world.nowMs - Math.max(sinceMs, begunMs) >= startupMs;
  const limit = `within ${startupMs / 1000} s of starting (health.startup)`;
  const late = group.instances.find(
    (one) => isAlive(one) && !one.hasBeenReady && !isReady(world, group, one) && hadItsTime(one.startedAtMs),
  );
  if (late !== undefined) return `${late.id} was not healthy ${limit}`;
  if (group.health.kind === 'backing-off' && hadItsTime(wish.askedAtMs ?? begunMs)) {
    return `${group.name} was not healthy ${limit}: ${group.health.why}`;
  }
  return undefined;
}

function whatIsMissing(world: World, deployment: Deployment): string {
  const sizes = deployment.decisions.sizes?.to ?? {};
  const release = releaseOf(world, deployment.to);
  const missing = release.settings.processes.flatMap((process) => {
    const wait = waitForReady(world, groupFor(world, release.number, process.name), sizes[process.name] ?? 0);
    return wait === undefined ? [] : [`still waiting until ${wait.reason} (${wait.progress ?? 'not yet'})`];
  });
  return missing[0] ?? 'its checks did not pass';
}

function prepare(world: World, release: Release): Step | undefined {
  return world.prepared.has(release.number) ? undefined : { kind: 'prepare', release: release.number };
}

/** After making room, since a migration may need the volume that its process holds. */
function migrate(deployment: Deployment, release: Release): Step | undefined {
  const owed = release.settings.migrate !== undefined && deployment.reason === 'deploy';
  const done = deployment.decisions.migratedAtMs !== undefined;
  return owed && !done ? { kind: 'migrate', release: release.number } : undefined;
}

/** Blue-green: the new groups stand beside the old ones, and traffic moves to all of them in one change. */
function replaceAtOnce(
  world: World,
  release: Release,
  sizes: Readonly<Record<string, number>>,
): Step | undefined {
  const processes = settlingFirst(release.settings.processes);
  const start = firstAct(
    processes.map((process) => scaleTo(world, release, process, sizes[process.name] ?? 0)),
  );
  if (start !== undefined) return start;
  const wait = firstAct(
    processes.map((process) =>
      waitForReady(world, groupFor(world, release.number, process.name), sizes[process.name] ?? 0),
    ),
  );
  if (wait !== undefined) return wait;
  const weights = allTrafficTo(world, release);
  if (sameWeights(weights, world.service.weights)) return undefined;
  return { kind: 'shift', weights, why: `release ${release.number} is healthy` };
}

/** One without a port must stay up for a while to count as ready: that time begins before the others are started. */
function settlingFirst(processes: readonly ProcessSpec[]): readonly ProcessSpec[] {
  return [...processes.filter((one) => !one.listens), ...processes.filter((one) => one.listens)];
}

/** What must be seen before anybody may say "deployed". A rollback goes to what has been checked before. */
function prove(deployment: Deployment, release: Release): Step | undefined {
  const { decisions } = deployment;
  const routed = release.settings.processes.some((process) => isRouted(release, process.name));
  if (routed && decisions.verifiedAtMs === undefined) return { kind: 'verify', release: release.number };
  const hasChecks =
    release.settings.checks.length > 0 || release.settings.processes.some((one) => one.standard);
  const owesChecks = routed && hasChecks && deployment.reason === 'deploy';
  if (owesChecks && decisions.checkedAtMs === undefined) return { kind: 'check', release: release.number };
  return undefined;
}
