/** What runs, for people: every service with its release, its groups and their instances as the routers see them. */
import type { Deployment } from '../domain/deployment.ts';
import { type ComponentName, type EnvironmentName, type ReleaseNumber, serviceKey } from '../domain/ids.ts';
import type { EndpointHealth } from '../domain/routing.ts';
import type { Endpoint, GroupHealth } from '../domain/server-group.ts';
import { emptyMemory, observe } from './observe.ts';
import type { DeployParts } from './parts.ts';
import { type GroupWorld, isReady, releaseOf, type World } from './planner/world.ts';

export interface InstanceStatus {
  readonly id: string;
  readonly phase: 'starting' | 'running' | 'stopping' | 'exited';
  readonly ready: boolean;
  readonly router: EndpointHealth | 'absent';
  readonly inFlight: number;
  readonly endpoint?: Endpoint;
  readonly startedAtMs: number;
}

export interface GroupStatus {
  readonly name: string;
  readonly process: string;
  readonly release: ReleaseNumber;
  readonly desired: number;
  readonly weight: number;
  readonly keepWarmUntilMs?: number;
  readonly health: GroupHealth;
  readonly instances: readonly InstanceStatus[];
}

/**
 * `serving`: the release that should serve has healthy instances with traffic; `degraded`: fewer than wanted;
 * `down`: none; `stopped`: nobody wants it to run; `new`: nothing was deployed yet.
 */
export type Verdict = 'serving' | 'degraded' | 'down' | 'stopped' | 'new';

export interface ServiceStatus {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly verdict: Verdict;
  readonly serving?: {
    readonly release: ReleaseNumber;
    readonly version: string;
    readonly image: string;
    readonly bad?: string;
  };
  readonly deployment?: Deployment;
  readonly hosts: readonly string[];
  readonly groups: readonly GroupStatus[];
}

export async function serviceStatuses(
  parts: DeployParts,
  filter: { readonly component?: ComponentName; readonly environment?: EnvironmentName },
  signal: AbortSignal,
): Promise<readonly ServiceStatus[]> {
  const services = (await parts.store.services.list()).filter(
    (one) =>
      (filter.component === undefined || one.component === filter.component) &&
      (filter.environment === undefined || one.environment === filter.environment),
  );
  return Promise.all(
    services.map(async ({ component, environment }) => {
      const service = serviceKey(component, environment);
      const { world } = await observe(parts, service, emptyMemory(), signal);
      return serviceStatus(world);
    }),
  );
}

function serviceStatus(world: World): ServiceStatus {
  const { component, environment, serving } = world.service;
  const release = serving === undefined ? undefined : releaseOf(world, serving);
  return {
    component,
    environment,
    verdict: verdictOf(world),
    ...(release === undefined
      ? {}
      : {
          serving: {
            release: release.number,
            version: release.version,
            image: release.image,
            ...(release.bad === undefined ? {} : { bad: release.bad.why }),
          },
        }),
    ...(world.deployment === undefined ? {} : { deployment: world.deployment }),
    hosts: [...new Set(release?.routes.map((route) => route.host))],
    groups: world.groups
      .filter((group) => group.wish !== undefined)
      .map((group) => groupStatus(world, group)),
  };
}

function verdictOf(world: World): Verdict {
  const { serving, stopped } = world.service;
  if (stopped) return 'stopped';
  if (serving === undefined) return 'new';
  const groups = world.groups.filter((group) => group.wish?.release === serving);
  const wanted = groups.reduce((sum, group) => sum + (group.wish?.desired ?? 0), 0);
  const ready = groups.reduce(
    (sum, group) => sum + group.instances.filter((one) => isReady(world, group, one)).length,
    0,
  );
  if (ready === 0 && wanted > 0) return 'down';
  return ready < wanted ? 'degraded' : 'serving';
}

function groupStatus(world: World, group: GroupWorld): GroupStatus {
  const { wish } = group;
  return {
    name: group.name,
    process: wish?.process ?? '',
    release: wish?.release ?? 0,
    desired: wish?.desired ?? 0,
    weight: world.routing.weights[group.name] ?? 0,
    ...(wish?.keepWarmUntilMs === undefined ? {} : { keepWarmUntilMs: wish.keepWarmUntilMs }),
    health: group.health,
    instances: group.instances.map((one) => ({
      id: one.id,
      phase: one.phase.kind,
      ready: isReady(world, group, one),
      router: one.router,
      inFlight: one.inFlight,
      ...(one.phase.kind === 'running' && one.phase.endpoint !== undefined
        ? { endpoint: one.phase.endpoint }
        : {}),
      startedAtMs: one.startedAtMs,
    })),
  };
}
