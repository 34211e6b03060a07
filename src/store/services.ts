import type { Change } from '../domain/change.ts';
import type { ServiceState } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type Fence,
  type ServerGroupName,
  type ServiceKey,
  serviceKey,
  serviceParts,
} from '../domain/ids.ts';
import type { ServiceStore } from '../domain/ports/services.ts';
import type { ServerGroup } from '../domain/server-group.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import type { WriteOptions } from './engine.ts';
import { requireFence } from './fences.ts';
import { fromJson, toJson } from './json.ts';
import type { ServiceTable } from './tables/deployments.ts';

/** Each of these states a wish; stating it twice changes nothing. */
const REPEATABLE: WriteOptions = { repeatable: true };

export class Services implements ServiceStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(service: ServiceKey): Promise<ServiceState | undefined> {
    const { component, environment } = serviceParts(service);
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('services')
        .selectAll()
        .where('component', '=', component)
        .where('environment', '=', environment)
        .executeTakeFirst();
      return row && asServiceState(row);
    });
  }

  list(): Promise<readonly ServiceState[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('services').selectAll().execute();
      return rows.map(asServiceState).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
    });
  }

  groups(service: ServiceKey): Promise<readonly ServerGroup[]> {
    const { component, environment } = serviceParts(service);
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('server_groups')
        .selectAll()
        .where('component', '=', component)
        .where('environment', '=', environment)
        .execute();
      const groups = rows.map((row) => fromJson<ServerGroup>(row.body));
      return groups.sort((a, b) => a.release - b.release || (a.name < b.name ? -1 : 1));
    });
  }

  putGroup(group: ServerGroup, fence: Fence, change: Change): Promise<void> {
    const service = serviceKey(group.component, group.environment);
    return this.#database.change(
      change,
      async (tx) => {
        await requireFence(tx.db, service, fence);
        const body = toJson(group);
        const { name, component, environment } = group;
        const before = await tx.db
          .selectFrom('server_groups')
          .select('body')
          .where('name', '=', name)
          .executeTakeFirst();
        if (before?.body === body) return;
        await noteUse(tx, group);
        await tx.db
          .insertInto('server_groups')
          .values({ name, component, environment, body })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ body }))
          .execute();
        const { release, process, role, desired } = group;
        tx.event('service.group-set', service, { group: name, release, process, role, desired });
        tx.audit('service.set-group', service, { group: name, desired, leaving: group.leaving.length });
      },
      REPEATABLE,
    );
  }

  deleteGroup(service: ServiceKey, name: ServerGroupName, fence: Fence, change: Change): Promise<void> {
    return this.#database.change(
      change,
      async (tx) => {
        await requireFence(tx.db, service, fence);
        const { component, environment } = serviceParts(service);
        const deleted = await tx.db
          .deleteFrom('server_groups')
          .where('name', '=', name)
          .where('component', '=', component)
          .where('environment', '=', environment)
          .executeTakeFirst();
        if (deleted.numDeletedRows === 0n) return;
        tx.event('service.group-removed', service, { group: name });
        tx.audit('service.remove-group', service, { group: name });
      },
      REPEATABLE,
    );
  }

  setWeights(
    service: ServiceKey,
    weights: Readonly<Record<string, number>>,
    fence: Fence,
    change: Change,
  ): Promise<void> {
    return this.#database.change(
      change,
      async (tx) => {
        await requireFence(tx.db, service, fence);
        const before = await requireService(tx, service);
        if (before.weights === toJson(weights)) return;
        await updateService(tx, service, { weights: toJson(weights) });
        tx.event('service.weights', service, { weights });
        tx.audit('service.set-weights', service, { weights });
      },
      REPEATABLE,
    );
  }

  setStopped(service: ServiceKey, stopped: boolean, change: Change): Promise<void> {
    return this.#database.change(
      change,
      async (tx) => {
        const before = await requireService(tx, service);
        if (before.stopped === Number(stopped)) return;
        await updateService(tx, service, { stopped: Number(stopped) });
        tx.event(stopped ? 'service.stopped' : 'service.resumed', service, { by: tx.actor });
        tx.audit(stopped ? 'service.stop' : 'service.resume', service, {});
      },
      REPEATABLE,
    );
  }
}

/** An image is in use from the moment that its instances are asked for. */
async function noteUse(tx: ChangeTransaction, group: ServerGroup): Promise<void> {
  if (group.desired === 0) return;
  const image = tx.db
    .selectFrom('releases')
    .select('image_id')
    .where('component', '=', group.component)
    .where('environment', '=', group.environment)
    .where('number', '=', group.release);
  await tx.db
    .updateTable('image_index')
    .set({ used_at_ms: tx.atMs })
    .where('image_id', 'in', image)
    .execute();
}

async function requireService(tx: ChangeTransaction, service: ServiceKey): Promise<ServiceTable> {
  const { component, environment } = serviceParts(service);
  const row = await tx.db
    .selectFrom('services')
    .selectAll()
    .where('component', '=', component)
    .where('environment', '=', environment)
    .executeTakeFirst();
  if (row) return row;
  throw new KilnError('not-found', `Nothing was ever released of ${component} in ${environment}.`, {
    next: 'Release it first, or correct the name.',
    details: { service },
  });
}

async function updateService(
  tx: ChangeTransaction,
  service: ServiceKey,
  values: Partial<Pick<ServiceTable, 'weights' | 'stopped'>>,
): Promise<void> {
  const { component, environment } = serviceParts(service);
  await tx.db
    .updateTable('services')
    .set(values)
    .where('component', '=', component)
    .where('environment', '=', environment)
    .execute();
}

function asServiceState(row: ServiceTable): ServiceState {
  return {
    component: row.component,
    environment: row.environment,
    ...(row.serving === null ? {} : { serving: row.serving }),
    stopped: row.stopped === 1,
    weights: fromJson<Record<string, number>>(row.weights),
  };
}

function nameOf(state: ServiceState): string {
  return serviceKey(state.component, state.environment);
}
