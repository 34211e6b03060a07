/** Which service a host and path belong to: to the one whose serving or soon serving release claims it. */
import type { RouteSpec } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import { type ReleaseNumber, type ServiceKey, serviceKey, serviceParts } from '../domain/ids.ts';
import type { Reader } from './engine.ts';

type Claim = Pick<RouteSpec, 'host' | 'path'>;

/** Fails with `route.conflict` when another service serves one of these routes, or is being deployed with it. */
export async function refuseForeignRoutes(
  db: Reader,
  service: ServiceKey,
  routes: readonly Claim[],
): Promise<void> {
  for (const route of routes) {
    const owner = await ownerOf(db, route, service);
    if (owner) throw routeConflict(route, owner);
  }
}

export function releaseRoutes(
  db: Reader,
  service: ServiceKey,
  number: ReleaseNumber,
): Promise<readonly Claim[]> {
  const { component, environment } = serviceParts(service);
  return db
    .selectFrom('release_routes')
    .select(['host', 'path'])
    .where('component', '=', component)
    .where('environment', '=', environment)
    .where('number', '=', number)
    .execute();
}

async function ownerOf(db: Reader, route: Claim, asking: ServiceKey): Promise<ServiceKey | undefined> {
  const { component, environment } = serviceParts(asking);
  const claims = db
    .selectFrom('release_routes as claim')
    .select(['claim.component', 'claim.environment'])
    .where('claim.host', '=', route.host)
    .where('claim.path', '=', route.path)
    .where((where) =>
      where.or([where('claim.component', '!=', component), where('claim.environment', '!=', environment)]),
    );
  const serving = await claims
    .innerJoin('services', (join) =>
      join
        .onRef('services.component', '=', 'claim.component')
        .onRef('services.environment', '=', 'claim.environment')
        .onRef('services.serving', '=', 'claim.number'),
    )
    .executeTakeFirst();
  const owner =
    serving ??
    (await claims
      .innerJoin('deployments', (join) =>
        join
          .onRef('deployments.component', '=', 'claim.component')
          .onRef('deployments.environment', '=', 'claim.environment')
          .onRef('deployments.to_release', '=', 'claim.number')
          .on('deployments.state', 'in', ['queued', 'running']),
      )
      .executeTakeFirst());
  return owner && serviceKey(owner.component, owner.environment);
}

function routeConflict(route: Claim, owner: ServiceKey): KilnError {
  return new KilnError('route.conflict', `The route ${route.host}${route.path} belongs to ${owner}.`, {
    next: `Choose another host or path, or deploy a release of ${owner} without this route first.`,
    details: { host: route.host, path: route.path, service: owner },
  });
}
