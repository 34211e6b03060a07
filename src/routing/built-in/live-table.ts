/**
 * The tables in force. Every change is made in one turn of the event loop, so that the next request sees all of
 * it or none; endpoints that stay keep their health, connections and requests in flight.
 */

import type { HealthSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ProcessName, ServiceKey } from '../../domain/ids.ts';
import {
  compareGenerations,
  type EndpointHealth,
  type EndpointObservation,
  type Generation,
  type Pool,
  type RoutedEndpoint,
  type RoutedGroup,
  type RouterObservation,
  type ServiceTable,
} from '../../domain/routing.ts';
import { byPathLength, covers, hostOf } from '../match.ts';
import { RoutedEndpointState } from './endpoint.ts';
import { type GroupState, PoolState } from './pool.ts';

/** Who checks the endpoints that the table holds. */
export interface EndpointWatch {
  begin(endpoint: RoutedEndpointState, pool: PoolState): void;
  end(endpoint: RoutedEndpointState): void;
  refused(endpoint: RoutedEndpointState): void;
}

interface LiveRoute {
  readonly path: string;
  readonly service: ServiceKey;
  readonly pool: PoolState;
}

interface LiveService {
  generation: Generation;
  /** Absent once withdrawn; the generation stays, to refuse what comes late. */
  table: ServiceTable | undefined;
  readonly pools: Map<ProcessName, PoolState>;
  readonly endpoints: Map<string, RoutedEndpointState>;
  /** Removed, with requests in flight. */
  readonly leaving: Set<RoutedEndpointState>;
}

/** `service`, `instance` and address to health: what a successor takes over, so that it serves at once. */
export interface HealthSnapshot {
  readonly service: ServiceKey;
  readonly endpoint: string;
  readonly health: EndpointHealth;
}

export class LiveTable {
  readonly #services = new Map<ServiceKey, LiveService>();
  readonly #routes = new Map<string, LiveRoute[]>();
  readonly #watch: EndpointWatch;

  constructor(watch: EndpointWatch) {
    this.#watch = watch;
  }

  poolFor(hostHeader: string, path: string): PoolState | undefined {
    const routes = this.#routes.get(hostOf(hostHeader));
    if (routes === undefined) return undefined;
    for (const route of routes) {
      if (covers(route.path, path)) return route.pool;
    }
    return undefined;
  }

  /** False: the table of this generation is in force already. */
  apply(table: ServiceTable): boolean {
    const live = this.#services.get(table.service);
    if (live !== undefined && !isNewer(table.service, table.generation, live.generation)) return false;
    this.#refuseTakenRoutes(table);
    const service = live ?? this.#add(table);
    service.generation = table.generation;
    service.table = table;
    this.#putPools(service, table);
    this.#indexRoutes();
    for (const pool of service.pools.values()) pool.wakeWaiting();
    return true;
  }

  /** False: it was withdrawn, or never there. */
  withdraw(key: ServiceKey, generation: Generation): boolean {
    const live = this.#services.get(key);
    if (live === undefined) return false;
    if (compareGenerations(generation, live.generation) < 0) throw stale(key, generation, live.generation);
    if (live.table === undefined) return false;
    live.generation = generation;
    live.table = undefined;
    this.#putPools(live, { service: key, generation, routes: [], pools: [] });
    this.#indexRoutes();
    return true;
  }

  /** Remembers the generation of a service that was withdrawn before this router started. */
  rememberWithdrawn(key: ServiceKey, generation: Generation): void {
    const service = emptyService(generation);
    this.#services.set(key, service);
  }

  observe(key: ServiceKey): RouterObservation {
    const live = this.#services.get(key);
    const endpoints: EndpointObservation[] = [];
    for (const endpoint of live?.endpoints.values() ?? []) endpoints.push(endpoint.observation());
    for (const endpoint of live?.leaving ?? []) endpoints.push(endpoint.observation());
    const weights: Record<string, number> = {};
    for (const group of live?.table?.pools.flatMap((pool) => pool.groups) ?? []) {
      weights[group.group] = group.weight;
    }
    return {
      service: key,
      weights,
      endpoints,
      ...(live?.table === undefined ? {} : { generation: live.generation }),
    };
  }

  /** Services with a table or with anything in flight. */
  services(): readonly ServiceKey[] {
    return [...this.#services]
      .filter(([, live]) => live.table !== undefined || live.leaving.size > 0)
      .map(([key]) => key);
  }

  tables(): readonly ServiceTable[] {
    return [...this.#services.values()].flatMap((live) => (live.table === undefined ? [] : [live.table]));
  }

  withdrawn(): readonly { readonly service: ServiceKey; readonly generation: Generation }[] {
    return [...this.#services].flatMap(([service, live]) =>
      live.table === undefined ? [{ service, generation: live.generation }] : [],
    );
  }

  health(): readonly HealthSnapshot[] {
    return [...this.#services].flatMap(([service, live]) =>
      [...live.endpoints].map(([endpoint, { health }]) => ({ service, endpoint, health })),
    );
  }

  adoptHealth(snapshots: readonly HealthSnapshot[]): void {
    for (const snapshot of snapshots) {
      const endpoint = this.#services.get(snapshot.service)?.endpoints.get(snapshot.endpoint);
      if (endpoint !== undefined) endpoint.health = snapshot.health;
    }
  }

  get inFlight(): number {
    let count = 0;
    for (const live of this.#services.values()) {
      for (const endpoint of live.endpoints.values()) count += endpoint.inFlight;
      for (const endpoint of live.leaving) count += endpoint.inFlight;
    }
    return count;
  }

  /** Closes idle upstream connections that their server may be about to close. */
  closeStaleIdle(nowMs: number): void {
    for (const live of this.#services.values()) {
      for (const endpoint of live.endpoints.values()) {
        while (endpoint.idle[0]?.isStale(nowMs)) endpoint.idle.shift()?.destroy();
      }
    }
  }

  #add(table: ServiceTable): LiveService {
    const service = emptyService(table.generation);
    this.#services.set(table.service, service);
    return service;
  }

  #putPools(live: LiveService, table: ServiceTable): void {
    const unused = new Map(live.endpoints);
    for (const pool of table.pools) {
      const state = live.pools.get(pool.process) ?? new PoolState();
      live.pools.set(pool.process, state);
      state.drainMs = pool.drainMs;
      state.holdMs = pool.holdMs;
      state.groups = pool.groups.map((group) => this.#putGroup(live, pool, state, group, unused));
    }
    for (const [key, endpoint] of unused) this.#removeEndpoint(live, key, endpoint);
    for (const [process, state] of live.pools) {
      if (table.pools.some((pool) => pool.process === process)) continue;
      live.pools.delete(process);
      state.isWithdrawn = true;
      state.groups = [];
      state.wakeWaiting();
    }
  }

  #putGroup(
    live: LiveService,
    pool: Pool,
    state: PoolState,
    group: RoutedGroup,
    unused: Map<string, RoutedEndpointState>,
  ): GroupState {
    const before = state.groups.find((each) => each.name === group.group);
    const check = group.health ?? pool.health;
    return {
      name: group.group,
      weight: group.weight,
      credit: before?.weight === group.weight ? before.credit : 0,
      turn: before?.turn ?? 0,
      endpoints: group.endpoints.map((routed) => {
        const key = endpointKey(pool.process, routed);
        unused.delete(key);
        const endpoint = live.endpoints.get(key) ?? this.#addEndpoint(live, key, routed, check, state);
        endpoint.check = check;
        if (routed.draining) endpoint.drain(pool.drainMs);
        else if (endpoint.isDraining) endpoint.undrain();
        return endpoint;
      }),
    };
  }

  #addEndpoint(
    live: LiveService,
    key: string,
    routed: RoutedEndpoint,
    check: HealthSpec,
    pool: PoolState,
  ): RoutedEndpointState {
    const endpoint = new RoutedEndpointState(
      routed.instance,
      routed.endpoint,
      check,
      (quiet) => live.leaving.delete(quiet),
      (refused) => this.#watch.refused(refused),
    );
    live.endpoints.set(key, endpoint);
    this.#watch.begin(endpoint, pool);
    return endpoint;
  }

  #removeEndpoint(live: LiveService, key: string, endpoint: RoutedEndpointState): void {
    live.endpoints.delete(key);
    this.#watch.end(endpoint);
    live.leaving.add(endpoint);
    const pool = live.pools.get(key.slice(0, key.indexOf('/')) as ProcessName);
    endpoint.remove(pool?.drainMs ?? 0);
  }

  #refuseTakenRoutes(table: ServiceTable): void {
    for (const route of table.routes) {
      const taken = this.#routes
        .get(hostOf(route.host))
        ?.find((each) => each.path === route.path && each.service !== table.service);
      if (taken === undefined) continue;
      throw new KilnError('route.conflict', `${taken.service} has the route ${route.host}${route.path}.`, {
        next: `Take the route from ${taken.service} first, or choose another host or path.`,
        retryable: true,
      });
    }
  }

  #indexRoutes(): void {
    this.#routes.clear();
    for (const [service, live] of this.#services) {
      for (const route of live.table?.routes ?? []) {
        const pool = live.pools.get(route.process);
        if (pool === undefined) continue;
        const host = hostOf(route.host);
        const routes = this.#routes.get(host) ?? [];
        routes.push({ path: route.path, service, pool });
        this.#routes.set(host, routes);
      }
    }
    for (const routes of this.#routes.values()) routes.sort(byPathLength);
  }
}

function emptyService(generation: Generation): LiveService {
  return { generation, table: undefined, pools: new Map(), endpoints: new Map(), leaving: new Set() };
}

function endpointKey(process: ProcessName, { instance, endpoint }: RoutedEndpoint): string {
  return `${process}/${instance}@${endpoint.host}:${endpoint.port}`;
}

function isNewer(service: ServiceKey, asked: Generation, held: Generation): boolean {
  const order = compareGenerations(asked, held);
  if (order < 0) throw stale(service, asked, held);
  return order > 0;
}

function stale(service: ServiceKey, asked: Generation, held: Generation): KilnError {
  return new KilnError(
    'fence.stale',
    `The router holds generation ${held.fence}.${held.sequence} of ${service}; ${asked.fence}.${asked.sequence} is older.`,
    { next: 'Let the owner of the newer lease go on.' },
  );
}
