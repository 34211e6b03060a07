/**
 * What the planner sees of one service (one component in one environment): a plain value,
 * made by `src/deploy/observe.ts` from the store, the target and the routers.
 */
import type { ProcessSpec } from '../../domain/component.ts';
import type { Deployment, ServiceState } from '../../domain/deployment.ts';
import type { InstanceId, ProcessName, ReleaseNumber, ServerGroupName } from '../../domain/ids.ts';
import type { Release, ReleaseState } from '../../domain/release.ts';
import type { EndpointHealth } from '../../domain/routing.ts';
import type { GroupHealth, InstancePhase, ServerGroup } from '../../domain/server-group.ts';

export interface InstanceWorld {
  readonly id: InstanceId;
  readonly ordinal: number;
  readonly phase: InstancePhase;
  readonly startedAtMs: number;
  /** As the routers see it; `absent`: no router holds it, so nothing of its is in flight. */
  readonly router: EndpointHealth | 'absent';
  readonly routerDraining: boolean;
  readonly inFlight: number;
  /** It was seen to be ready before, whatever it is now. */
  readonly hasBeenReady: boolean;
}

export interface GroupWorld {
  readonly name: ServerGroupName;
  /** The stored wish; absent: the target has it, and nobody wants it. */
  readonly wish?: ServerGroup;
  /** False: the target knows nothing of it yet. */
  readonly present: boolean;
  readonly instances: readonly InstanceWorld[];
  readonly health: GroupHealth;
}

export interface World {
  readonly nowMs: number;
  readonly service: ServiceState;
  /** Every release that serves, is deployed, or has a group. */
  readonly releases: ReadonlyMap<ReleaseNumber, Release & ReleaseState>;
  readonly groups: readonly GroupWorld[];
  readonly deployment?: Deployment;
  /** The next one waits in the queue. */
  readonly queued: boolean;
  /** Releases whose artifact is known to be where instances run. */
  readonly prepared: ReadonlySet<ReleaseNumber>;
  readonly routing: {
    /** False: what the routers hold is not what the wishes, weights and instances ask for. */
    readonly inForce: boolean;
    /** Shares in force, by group. */
    readonly weights: Readonly<Record<string, number>>;
  };
}

/** Long enough for a program that fails at once to have failed. */
export const SETTLE_MS = 300;

export function releaseOf(world: World, number: ReleaseNumber): Release & ReleaseState {
  const release = world.releases.get(number);
  if (release === undefined) throw new Error(`the world has no release ${number}`);
  return release;
}

export function processOf(release: Release, name: ProcessName): ProcessSpec | undefined {
  return release.settings.processes.find((process) => process.name === name);
}

export function isRouted(release: Release, process: ProcessName): boolean {
  return release.routes.some((route) => route.process === process);
}

export function groupsOf(world: World, release: ReleaseNumber): readonly GroupWorld[] {
  return world.groups.filter((group) => group.wish?.release === release);
}

export function groupFor(world: World, release: ReleaseNumber, process: ProcessName): GroupWorld | undefined {
  return world.groups.find((group) => group.wish?.release === release && group.wish.process === process);
}

export function isAlive(instance: InstanceWorld): boolean {
  return instance.phase.kind === 'starting' || instance.phase.kind === 'running';
}

export function isLeaving(group: GroupWorld, instance: InstanceWorld): boolean {
  return group.wish?.leaving.some((leaving) => leaving.instance === instance.id) ?? false;
}

/** Ready to do its work: for one with routes this is what the routers say, not what it says itself. */
export function isReady(world: World, group: GroupWorld, instance: InstanceWorld): boolean {
  const wish = group.wish;
  if (wish === undefined || instance.phase.kind !== 'running' || isLeaving(group, instance)) return false;
  const release = releaseOf(world, wish.release);
  if (isRouted(release, wish.process)) return instance.router === 'up' && !instance.routerDraining;
  if (processOf(release, wish.process)?.listens) return instance.phase.endpoint !== undefined;
  return isComingBack(world, release) || world.nowMs - instance.startedAtMs >= SETTLE_MS;
}

/** On the way back time is dear, and what goes back has served: its programs are known not to fail at once. */
function isComingBack({ deployment }: World, release: Release & ReleaseState): boolean {
  const isWayBack = deployment?.reason === 'rollback' && deployment.to === release.number;
  return isWayBack && release.servedAtMs !== undefined;
}

export function readyCount(world: World, group: GroupWorld): number {
  return group.instances.filter((instance) => isReady(world, group, instance)).length;
}

/** No router sends to it or waits for it any more. */
export function isLetGo(instance: InstanceWorld): boolean {
  return (
    instance.router === 'absent' || (instance.routerDraining && instance.inFlight === 0) || !isAlive(instance)
  );
}

/** The volumes that only one instance may hold at a time. */
export function exclusiveVolumes(process: ProcessSpec | undefined): readonly string[] {
  return process?.volumes.filter((volume) => !volume.shared).map((volume) => volume.name) ?? [];
}
