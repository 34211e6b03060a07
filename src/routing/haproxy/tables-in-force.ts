/** The tables that were acknowledged, each on disk before it is; and the generations of what was withdrawn. */
import { KilnError } from '../../domain/errors.ts';
import type { InstanceId, ServiceKey } from '../../domain/ids.ts';
import { compareGenerations, type Generation, type ServiceTable } from '../../domain/routing.ts';
import { hostOf } from '../match.ts';
import { SavedTables } from '../saved-tables.ts';
import { instanceOf, serverName } from './wanted.ts';

export class TablesInForce {
  readonly #saved: SavedTables;
  readonly #tables = new Map<ServiceKey, ServiceTable>();
  readonly #withdrawn = new Map<ServiceKey, Generation>();

  constructor(directory: string) {
    this.#saved = new SavedTables(directory);
  }

  /** What the last server left on disk; says which files cannot be read. */
  async load(nowMs: number): Promise<readonly string[]> {
    const { saved, damaged } = await this.#saved.load(nowMs);
    for (const each of saved) {
      if (each.kind === 'table') this.#tables.set(each.table.service, each.table);
      else this.#withdrawn.set(each.service, each.generation);
    }
    return damaged;
  }

  get(service: ServiceKey): ServiceTable | undefined {
    return this.#tables.get(service);
  }

  all(): readonly ServiceTable[] {
    return [...this.#tables.values()];
  }

  /** Those with a table, and those that had one. */
  services(): readonly ServiceKey[] {
    return [...this.#tables.keys(), ...this.#withdrawn.keys()];
  }

  async put(table: ServiceTable): Promise<void> {
    await this.#saved.put({ kind: 'table', table });
    this.#tables.set(table.service, table);
    this.#withdrawn.delete(table.service);
  }

  /** False: nothing of it is known. */
  async withdraw(service: ServiceKey, generation: Generation, atMs: number): Promise<boolean> {
    const held = this.#generationOf(service);
    if (held === undefined) return false;
    if (compareGenerations(generation, held) < 0) throw stale(service, generation, held);
    await this.#saved.put({ kind: 'withdrawn', service, generation, atMs });
    this.#tables.delete(service);
    this.#withdrawn.set(service, generation);
    return true;
  }

  /** False: this very one is in force. Fails with `fence.stale` or `route.conflict`. */
  admits(table: ServiceTable): boolean {
    const { service, generation } = table;
    const held = this.#generationOf(service);
    const order = held === undefined ? 1 : compareGenerations(generation, held);
    if (held !== undefined && order < 0) throw stale(service, generation, held);
    if (order === 0) return false;
    this.#refuseTakenRoutes(table);
    return true;
  }

  /** HAProxy's names of servers hold fewer characters than an instance's may. */
  realName(answered: InstanceId): InstanceId {
    for (const table of this.#tables.values()) {
      for (const group of table.pools.flatMap((pool) => pool.groups)) {
        const endpoint = group.endpoints.find((each) => instanceOf(serverName(each)) === answered);
        if (endpoint !== undefined) return endpoint.instance;
      }
    }
    return answered;
  }

  #generationOf(service: ServiceKey): Generation | undefined {
    return this.#tables.get(service)?.generation ?? this.#withdrawn.get(service);
  }

  #refuseTakenRoutes(table: ServiceTable): void {
    for (const route of table.routes) {
      for (const other of this.#tables.values()) {
        const isTaken =
          other.service !== table.service &&
          other.routes.some((each) => hostOf(each.host) === hostOf(route.host) && each.path === route.path);
        if (!isTaken) continue;
        throw new KilnError('route.conflict', `${other.service} has the route ${route.host}${route.path}.`, {
          next: `Take the route from ${other.service} first, or choose another host or path.`,
          retryable: true,
        });
      }
    }
  }
}

function stale(service: ServiceKey, asked: Generation, held: Generation): KilnError {
  return new KilnError(
    'fence.stale',
    `The router holds generation ${held.fence}.${held.sequence} of ${service}; ${asked.fence}.${asked.sequence} is older.`,
    { next: 'Let the owner of the newer lease go on.' },
  );
}
