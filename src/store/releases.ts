import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type ComponentName,
  type EnvironmentName,
  type Fence,
  type ImageId,
  type ReleaseNumber,
  type ServiceKey,
  serviceKey,
  serviceParts,
} from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type { ReleaseStore, ReleaseWithState } from '../domain/ports/releases.ts';
import type { Release, ReleaseState } from '../domain/release.ts';
import { refuseRevoked } from './catalogue/revocations.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import { requireFence } from './fences.ts';
import { requireImage } from './images.ts';
import { fromJson, toJson } from './json.ts';
import { pageBounds, pageByOrdinal, serviceColumns } from './page.ts';
import { refuseForeignRoutes } from './routes.ts';
import type { ReleaseTable } from './tables/deployments.ts';

export class Releases implements ReleaseStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(wanted: Omit<Release, 'number' | 'createdAtMs' | 'createdBy'>, change: Change): Promise<Release> {
    return this.#database.change(change, async (tx) => {
      const service = serviceKey(wanted.component, wanted.environment);
      await requireImage(tx.db, wanted.image);
      await refuseRevoked(tx.db, wanted.image);
      await refuseForeignRoutes(tx.db, service, wanted.routes);
      const number = await nextNumber(tx, wanted.component, wanted.environment);
      const release = { ...wanted, number, createdAtMs: change.atMs, createdBy: change.actor };
      await insertRelease(tx, release);
      const data = { number, image: release.image, version: release.version };
      tx.event('release.created', service, data);
      tx.audit('release.create', service, { ...data, config: release.config.digest });
      return release;
    });
  }

  get(
    component: ComponentName,
    environment: EnvironmentName,
    number: ReleaseNumber,
  ): Promise<ReleaseWithState | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('releases')
        .selectAll()
        .where('component', '=', component)
        .where('environment', '=', environment)
        .where('number', '=', number)
        .executeTakeFirst();
      return row && asRelease(row);
    });
  }

  async list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<ReleaseWithState>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('releases')
        .selectAll()
        .where((row) => row.and(serviceColumns(filter)))
        .where('ordinal', '<', bounds.before)
        .orderBy('ordinal', 'desc')
        .limit(bounds.fetch)
        .execute();
      return pageByOrdinal(rows, bounds, asRelease);
    });
  }

  markBad(
    service: ServiceKey,
    number: ReleaseNumber,
    why: string,
    fence: Fence,
    change: Change,
  ): Promise<void> {
    return this.#database.change(change, async (tx) => {
      await requireFence(tx.db, service, fence);
      await requireRelease(tx, service, number);
      const { component, environment } = serviceParts(service);
      await tx.db
        .updateTable('releases')
        .set({ bad: toJson({ atMs: change.atMs, why }) })
        .where('component', '=', component)
        .where('environment', '=', environment)
        .where('number', '=', number)
        .execute();
      tx.event('release.bad', service, { number, why });
      tx.audit('release.mark-bad', service, { number, why });
    });
  }
}

/** Answers its image. */
export async function requireRelease(
  tx: ChangeTransaction,
  service: ServiceKey,
  number: ReleaseNumber,
): Promise<ImageId> {
  const { component, environment } = serviceParts(service);
  const row = await tx.db
    .selectFrom('releases')
    .select('image_id')
    .where('component', '=', component)
    .where('environment', '=', environment)
    .where('number', '=', number)
    .executeTakeFirst();
  if (row) return row.image_id;
  throw new KilnError('not-found', `${service} has no release ${number}.`, {
    next: 'List the releases to see which there are.',
    details: { service, number },
  });
}

async function nextNumber(
  tx: ChangeTransaction,
  component: ComponentName,
  environment: EnvironmentName,
): Promise<ReleaseNumber> {
  const service = await tx.db
    .insertInto('services')
    .values({ component, environment, last_release: 1, serving: null, stopped: 0, weights: toJson({}) })
    .onConflict((conflict) =>
      conflict
        .columns(['component', 'environment'])
        .doUpdateSet((row) => ({ last_release: row('services.last_release', '+', 1) })),
    )
    .returning('last_release')
    .executeTakeFirstOrThrow();
  return service.last_release;
}

async function insertRelease(tx: ChangeTransaction, release: Release): Promise<void> {
  const { component, environment, number } = release;
  await tx.db
    .insertInto('releases')
    .values({
      component,
      environment,
      number,
      ordinal: tx.revision,
      image_id: release.image,
      body: toJson(release),
      served_at_ms: null,
      bad: null,
    })
    .execute();
  const claims = new Map(release.routes.map(({ host, path }) => [`${host}${path}`, { host, path }]));
  if (claims.size === 0) return;
  await tx.db
    .insertInto('release_routes')
    .values([...claims.values()].map((claim) => ({ ...claim, component, environment, number })))
    .execute();
}

function asRelease(row: ReleaseTable): ReleaseWithState {
  return {
    ...fromJson<Release>(row.body),
    ...(row.served_at_ms === null ? {} : { servedAtMs: row.served_at_ms }),
    ...(row.bad === null ? {} : { bad: fromJson<NonNullable<ReleaseState['bad']>>(row.bad) }),
  };
}
