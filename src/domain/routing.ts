/**
 * The part of the routing table that belongs to one service. Each owner publishes
 * its own part, under its own fence, so that no owner needs to know the others'.
 */
import type { HealthSpec } from './component.ts';
import type { Fence, InstanceId, ProcessName, ServerGroupName, ServiceKey } from './ids.ts';
import type { Endpoint } from './server-group.ts';

export interface RoutedEndpoint {
  readonly instance: InstanceId;
  readonly endpoint: Endpoint;
  /** True: no new requests, those in flight go on. */
  readonly draining: boolean;
}

export interface RoutedGroup {
  readonly group: ServerGroupName;
  /** Share of the pool's traffic relative to the other groups; 0: checked, but gets no traffic. */
  readonly weight: number;
  /** Where this group's release is checked otherwise than the pool says. */
  readonly health?: HealthSpec;
  readonly endpoints: readonly RoutedEndpoint[];
}

/** The groups of one process that share its traffic. */
export interface Pool {
  readonly process: ProcessName;
  readonly health: HealthSpec;
  readonly groups: readonly RoutedGroup[];
  /** How long a drained endpoint may go on answering what it has begun. */
  readonly drainMs: number;
  /** How long a request may wait for the first healthy endpoint; 0: answered 503 at once. */
  readonly holdMs: number;
}

export interface TableRoute {
  /** Lower-case host name without port. */
  readonly host: string;
  /** Path prefix at a `/` boundary; `/` for all. The longest one wins. */
  readonly path: string;
  readonly process: ProcessName;
}

/** Compared fence first, then sequence: an older one is refused. */
export interface Generation {
  readonly fence: Fence;
  readonly sequence: number;
}

export interface ServiceTable {
  readonly service: ServiceKey;
  readonly generation: Generation;
  readonly routes: readonly TableRoute[];
  readonly pools: readonly Pool[];
}

export type EndpointHealth = 'unknown' | 'up' | 'down';

export interface EndpointObservation {
  readonly instance: InstanceId;
  readonly health: EndpointHealth;
  /** Requests and upgraded connections that have not ended, on every live router and old worker. */
  readonly inFlight: number;
  readonly draining: boolean;
}

/** What the routers hold for one service. An instance that is not in it has been let go. */
export interface RouterObservation {
  readonly service: ServiceKey;
  /** Undefined: the router knows nothing of the service. */
  readonly generation?: Generation;
  /** Share of each group as it is in force. */
  readonly weights: Readonly<Record<ServerGroupName, number>>;
  readonly endpoints: readonly EndpointObservation[];
}

export interface ProbeAnswer {
  readonly status: number;
  /** Who answered, as the router saw it. */
  readonly instance?: InstanceId;
}

export function compareGenerations(a: Generation, b: Generation): number {
  return a.fence - b.fence || a.sequence - b.sequence;
}
