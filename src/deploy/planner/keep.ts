/**
 * Keeping: the serving release has its groups, its size and all the traffic; the one it replaced is kept warm
 * for its time; everything else is let go once no traffic depends on it.
 */
import type { Release, ReleaseState } from '../../domain/release.ts';
import { allTrafficTo, canTakeOver, firstAct, letGo, makeRoom, sameWeights, scaleTo } from './groups.ts';
import type { Step } from './steps.ts';
import { type GroupWorld, groupFor, groupsOf, isAlive, isRouted, releaseOf, type World } from './world.ts';

export function keep(world: World): Step {
  if (world.queued) return { kind: 'start-next' };
  const { serving, stopped } = world.service;
  const step =
    serving === undefined || stopped ? clearAway(world) : keepServing(world, releaseOf(world, serving));
  return step ?? { kind: 'wait', reason: 'something changes' };
}

/** Nothing is to run: take the traffic away, then the groups. */
function clearAway(world: World): Step | undefined {
  if (!sameWeights({}, world.service.weights)) return { kind: 'shift', weights: {}, why: 'it was stopped' };
  return firstAct(world.groups.map((group) => letGo(world, group, 'it was stopped')));
}

function keepServing(world: World, release: Release & ReleaseState): Step | undefined {
  return (
    markBad(world, release) ??
    holdSize(world, release) ??
    holdTraffic(world, release) ??
    letOthersGo(world, release)
  );
}

function markBad(world: World, release: Release & ReleaseState): Step | undefined {
  if (release.bad !== undefined) return undefined;
  const failed = groupsOf(world, release.number).find((group) => group.health.kind === 'bad');
  if (failed?.health.kind !== 'bad') return undefined;
  return { kind: 'mark-bad', release: release.number, why: `${failed.name}: ${failed.health.why}` };
}

function holdSize(world: World, release: Release): Step | undefined {
  const room = makeRoom(world, release);
  if (room !== undefined) return room;
  return firstAct(
    release.settings.processes.map((process) => {
      const { min, desired, max } = process.instances;
      const now = groupFor(world, release.number, process.name)?.wish?.desired;
      const wanted = now === undefined || (now === 0 && min > 0) ? desired : now;
      return scaleTo(world, release, process, Math.min(max, Math.max(min, wanted)));
    }),
  );
}

/** Repairs shares that are not as they should be, once somebody is there to take the traffic. */
function holdTraffic(world: World, release: Release): Step | undefined {
  const weights = allTrafficTo(world, release);
  if (sameWeights(weights, world.service.weights)) return undefined;
  return canTakeOver(world, release)
    ? { kind: 'shift', weights, why: `release ${release.number} serves` }
    : undefined;
}

function letOthersGo(world: World, release: Release): Step | undefined {
  const warm = warmRelease(world, release);
  const others = world.groups.filter((group) => group.wish?.release !== release.number);
  return firstAct(others.map((group) => keepWarmOrLetGo(world, release, group, warm)));
}

/** Only the last release that served before this one is worth keeping warm. */
function warmRelease(world: World, release: Release): number | undefined {
  const served = [...world.releases.values()]
    .filter((one) => one.number !== release.number && one.servedAtMs !== undefined && one.bad === undefined)
    .sort((a, b) => (b.servedAtMs ?? 0) - (a.servedAtMs ?? 0));
  return served[0]?.number;
}

function keepWarmOrLetGo(
  world: World,
  release: Release,
  group: GroupWorld,
  warm: number | undefined,
): Step | undefined {
  const wish = group.wish;
  if (wish === undefined) return letGo(world, group, 'nobody wants it');
  if ((world.service.weights[group.name] ?? 0) > 0) return undefined;
  const routed = isRouted(releaseOf(world, wish.release), wish.process);
  const worthKeeping =
    routed && wish.release === warm && wish.leaving.length === 0 && group.instances.some(isAlive);
  const { keepWarmMs } = release.settings.deploy;
  if (!worthKeeping || keepWarmMs === 0) return letGo(world, group, `replaced by release ${release.number}`);
  if (wish.keepWarmUntilMs === undefined) {
    const untilMs = world.nowMs + keepWarmMs;
    return { kind: 'keep-warm', group: { ...wish, keepWarmUntilMs: untilMs }, untilMs };
  }
  if (world.nowMs >= wish.keepWarmUntilMs) return letGo(world, group, 'it was kept warm long enough');
  return { kind: 'wait', reason: 'its time of being kept warm is over', untilMs: wish.keepWarmUntilMs };
}
