/**
 * Which backend a pool's requests go to. Pure.
 *
 * A pool keeps its slot until its checks may take another time, which only another slot can give. Then its servers
 * are put into both, and requests go to the old one until every server that serves there serves in the new one too:
 * a server takes requests only after a passed check, and a new backend begins with none that has passed.
 */
import type { ServiceTable } from '../../domain/routing.ts';
import type { HeldServer } from './held.ts';
import { movedKey, poolKey, type Slot } from './slots.ts';

export interface Home {
  /** Requests go here. */
  readonly backend: string;
  /** And will go here, once its servers have passed their checks. */
  readonly next?: string;
}

/** By pool key. */
export type Homes = ReadonlyMap<string, Home>;

export function homesOf(slots: readonly Slot[], held: readonly HeldServer[]): Homes {
  const serving = Map.groupBy(held.filter(takesRequests), (server) => server.backend);
  const homes = new Map<string, Home>();
  for (const { pool, backend } of slots) {
    if (pool === undefined || pool.endsWith(movedKey(''))) continue;
    const ready = new Set(serving.get(backend)?.map((server) => server.name));
    const [old] = slots
      .filter((slot) => slot.pool === movedKey(pool))
      .map((slot) => ({ backend: slot.backend, servers: serving.get(slot.backend) ?? [] }))
      .filter(({ servers }) => servers.some((server) => !ready.has(server.name)))
      .sort((a, b) => b.servers.length - a.servers.length);
    homes.set(pool, old === undefined ? { backend } : { backend: old.backend, next: backend });
  }
  return homes;
}

export function homeOf(table: ServiceTable, process: string, homes: Homes): Home {
  const key = poolKey(table.service, process);
  const home = homes.get(key);
  if (home === undefined) throw new Error(`no backend was allocated for ${key}`);
  return home;
}

/** Whether its last check passed is not asked: while the next one is under way nobody knows. */
function takesRequests(server: HeldServer): boolean {
  return server.isRunning && !server.isDrained && !server.isParked;
}
