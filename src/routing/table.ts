/** The routing table of one service, computed from what is wished and what is observed. Pure. */
import type { ProcessSpec, RouteSpec } from '../domain/component.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type {
  Generation,
  Pool,
  RoutedEndpoint,
  RoutedGroup,
  ServiceTable,
  TableRoute,
} from '../domain/routing.ts';
import type { InstanceView, ServerGroup } from '../domain/server-group.ts';

/** For a process that listens and names no health check of its own. */
const DEFAULT_HEALTH = { path: '/', intervalMs: 2_000, timeoutMs: 2_000, startupMs: 60_000 } as const;

export interface ObservedGroup {
  /** The stored wish: its `leaving` instances get no new requests. */
  readonly group: ServerGroup;
  /** What the target sees of it; only instances with an endpoint can be routed to. */
  readonly instances: readonly InstanceView[];
}

export interface ServiceTableInput {
  readonly service: ServiceKey;
  readonly generation: Generation;
  readonly routes: readonly RouteSpec[];
  readonly processes: readonly ProcessSpec[];
  readonly groups: readonly ObservedGroup[];
  /** Share of traffic by server group name; a group that is not named gets none. */
  readonly weights: Readonly<Record<string, number>>;
  readonly holdMs: number;
}

/**
 * A pool for each process that listens, with every group of that process; groups and endpoints in the
 * order of their names, so that an equal world gives an equal table.
 * Check groups take no part: nobody but their own check may reach them.
 */
export function serviceTable(input: ServiceTableInput): ServiceTable {
  const pools = input.processes.filter((process) => process.listens).map((process) => poolOf(process, input));
  const routed = new Set(pools.map((pool) => pool.process));
  return {
    service: input.service,
    generation: input.generation,
    routes: input.routes.filter((route) => routed.has(route.process)).map(tableRoute),
    pools,
  };
}

function poolOf(process: ProcessSpec, input: ServiceTableInput): Pool {
  return {
    process: process.name,
    health: process.health ?? DEFAULT_HEALTH,
    drainMs: process.stop.graceMs,
    holdMs: input.holdMs,
    groups: input.groups
      .filter(({ group }) => group.process === process.name && group.role !== 'check')
      .map((observed) => routedGroup(observed, input.weights))
      .sort((a, b) => compareText(a.group, b.group)),
  };
}

function routedGroup(
  { group, instances }: ObservedGroup,
  weights: ServiceTableInput['weights'],
): RoutedGroup {
  const leaving = new Set(group.leaving.map((each) => each.instance));
  const weight = Object.hasOwn(weights, group.name) ? weights[group.name] : undefined;
  return {
    group: group.name,
    weight: weight === undefined || !(weight > 0) ? 0 : weight,
    endpoints: instances
      .flatMap((instance) => routedEndpoint(instance, leaving.has(instance.id)))
      .sort((a, b) => compareText(a.instance, b.instance)),
  };
}

/** None for an instance that cannot be reached: still starting, already stopping, or exited. */
function routedEndpoint(instance: InstanceView, isLeaving: boolean): RoutedEndpoint[] {
  if (instance.phase.kind !== 'running' || instance.phase.endpoint === undefined) return [];
  return [{ instance: instance.id, endpoint: instance.phase.endpoint, draining: isLeaving }];
}

function tableRoute(route: RouteSpec): TableRoute {
  const path = route.path.length > 1 && route.path.endsWith('/') ? route.path.slice(0, -1) : route.path;
  return { host: route.host.toLowerCase(), path: path === '' ? '/' : path, process: route.process };
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
