/** What runs on images that were revoked, and what could run in its place. */
import type { ComponentName, EnvironmentName, ReleaseNumber, ServerGroupName } from '../domain/ids.ts';
import { type ServiceKey, serviceKey } from '../domain/ids.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { Store } from '../domain/ports/store.ts';

type Catalogue = Pick<Store, 'images' | 'releases' | 'services'>;

const PAGE = 100;

export interface RevokedUse {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly group: ServerGroupName;
  readonly release: ReleaseNumber;
  readonly image: string;
  /** The release that served last and whose image is fit; absent: there is none. */
  readonly replacement?: ReleaseNumber;
}

/** Every server group, in all environments, whose image is revoked. */
export async function runningOnRevoked(store: Catalogue): Promise<readonly RevokedUse[]> {
  const found: RevokedUse[] = [];
  for (const { component, environment } of await store.services.list()) {
    const service = serviceKey(component, environment);
    for (const group of await store.services.groups(service)) {
      const release = await store.releases.get(component, environment, group.release);
      const image = release && (await store.images.get(release.image));
      if (image?.revoked === undefined) continue;
      const replacement = await lastGood(store, component, environment);
      found.push({
        component,
        environment,
        group: group.name,
        release: group.release,
        image: image.id,
        ...(replacement === undefined ? {} : { replacement: replacement.number }),
      });
    }
  }
  return found;
}

/** Of the releases that served and stayed up, the one that served last and whose image is fit. */
async function lastGood(
  store: Catalogue,
  component: ComponentName,
  environment: EnvironmentName,
): Promise<ReleaseWithState | undefined> {
  const served: ReleaseWithState[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.releases.list(
      { component, environment },
      { limit: PAGE, ...(cursor === undefined ? {} : { cursor }) },
    );
    served.push(...page.items.filter((one) => one.servedAtMs !== undefined && one.bad === undefined));
    cursor = page.cursor;
  } while (cursor !== undefined);
  for (const release of served.toSorted((a, b) => (b.servedAtMs ?? 0) - (a.servedAtMs ?? 0))) {
    const image = await store.images.get(release.image);
    if (image !== undefined && image.revoked === undefined) return release;
  }
  return undefined;
}

/** One use of each service that has a release to go back to. */
export function replaceable(uses: readonly RevokedUse[]): readonly RevokedUse[] {
  const services = new Map<ServiceKey, RevokedUse>();
  for (const use of uses) {
    if (use.replacement !== undefined) services.set(serviceKey(use.component, use.environment), use);
  }
  return [...services.values()];
}
