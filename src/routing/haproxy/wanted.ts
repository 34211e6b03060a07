/** What HAProxy should hold for the tables in force: servers, and the lines of its maps. Pure. */
import type { InstanceId, ServerGroupName } from '../../domain/ids.ts';
import type { Pool, RoutedEndpoint, ServiceTable } from '../../domain/routing.ts';
import { hostOf } from '../match.ts';
import { type Homes, homeOf } from './homes.ts';

/** HAProxy's own limits of a server's weight. */
const MAX_WEIGHT = 256;

export interface WantedServer {
  readonly backend: string;
  /** `INSTANCE:PORT`, so that an instance that came back elsewhere is another server. */
  readonly name: string;
  readonly instance: InstanceId;
  readonly group: ServerGroupName;
  readonly groupWeight: number;
  readonly address: string;
  readonly intervalMs: number;
  readonly draining: boolean;
}

export interface WantedMaps {
  /** `host/path/` to backend. */
  readonly routes: ReadonlyMap<string, string>;
  /** Backend to the path of its health check. */
  readonly health: ReadonlyMap<string, string>;
  /** Server to the path of its health check, where its group has one of its own. */
  readonly ownHealth: ReadonlyMap<string, string>;
  /** Backend to how long a request may wait for the first healthy server. */
  readonly hold: ReadonlyMap<string, string>;
}

export function serverName(routed: RoutedEndpoint): string {
  return `${routed.instance.replaceAll(/[^A-Za-z0-9_.-]/g, '-')}:${routed.endpoint.port}`;
}

/** As HAProxy's commands name a server. */
export function fullName(server: { readonly backend: string; readonly name: string }): string {
  return `${server.backend}/${server.name}`;
}

export function instanceOf(name: string): InstanceId {
  return name.slice(0, name.lastIndexOf(':')) as InstanceId;
}

/** Those of the backend that requests go to come first. */
export function wantedServers(table: ServiceTable, homes: Homes): readonly WantedServer[] {
  return table.pools.flatMap((pool) =>
    backendsOf(table, pool, homes).flatMap((backend) => serversIn(backend, pool)),
  );
}

function serversIn(backend: string, pool: Pool): readonly WantedServer[] {
  return pool.groups.flatMap((group) =>
    group.endpoints.map((routed) => ({
      backend,
      name: serverName(routed),
      instance: routed.instance,
      group: group.group,
      groupWeight: group.weight,
      address: `${bracketed(routed.endpoint.host)}:${routed.endpoint.port}`,
      intervalMs: (group.health ?? pool.health).intervalMs,
      draining: routed.draining,
    })),
  );
}

export function wantedMaps(tables: Iterable<ServiceTable>, homes: Homes): WantedMaps {
  const routes = new Map<string, string>();
  const health = new Map<string, string>();
  const ownHealth = new Map<string, string>();
  const hold = new Map<string, string>();
  for (const table of tables) {
    for (const pool of table.pools) {
      for (const backend of backendsOf(table, pool, homes)) {
        health.set(backend, pool.health.path);
        hold.set(backend, String(Math.round(pool.holdMs)));
      }
      for (const group of pool.groups) {
        const { path } = group.health ?? pool.health;
        if (path === pool.health.path) continue;
        for (const routed of group.endpoints) ownHealth.set(serverName(routed), path);
      }
    }
    const processes = new Set(table.pools.map((pool) => pool.process));
    for (const route of table.routes) {
      if (!processes.has(route.process)) continue;
      routes.set(routeKey(route.host, route.path), homeOf(table, route.process, homes).backend);
    }
  }
  return { routes, health, ownHealth, hold };
}

/** Ends with a slash, as the request's host and path do when they are looked up: a prefix is whole segments. */
export function routeKey(host: string, path: string): string {
  return `${hostOf(host)}${path.endsWith('/') ? path : `${path}/`}`;
}

/**
 * The share of a group divided by those of its servers that take traffic, brought to HAProxy's whole numbers:
 * the largest becomes 256, and none that has a share gets nothing.
 */
export function serverWeights(
  servers: readonly {
    readonly name: string;
    readonly group: string;
    readonly groupWeight: number;
    readonly serves: boolean;
  }[],
): ReadonlyMap<string, number> {
  const serving = new Map<string, number>();
  for (const server of servers) {
    if (server.serves) serving.set(server.group, (serving.get(server.group) ?? 0) + 1);
  }
  const shares = servers.map((server) => server.groupWeight / Math.max(1, serving.get(server.group) ?? 0));
  const largest = Math.max(0, ...shares);
  return new Map(
    servers.map((server, index) => {
      const share = shares[index] ?? 0;
      const scaled = largest === 0 ? 0 : Math.round((share / largest) * MAX_WEIGHT);
      return [server.name, share > 0 ? Math.max(1, scaled) : 0];
    }),
  );
}

function backendsOf(table: ServiceTable, pool: Pool, homes: Homes): readonly string[] {
  const { backend, next } = homeOf(table, pool.process, homes);
  return next === undefined ? [backend] : [backend, next];
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
