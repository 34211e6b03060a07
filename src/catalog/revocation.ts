/** What runs on images that were revoked, and what could run in its place. */
import type { ComponentName, EnvironmentName, ReleaseNumber, ServerGroupName } from '../domain/ids.ts';
import { type ServiceKey, serviceKey } from '../domain/ids.ts';
import { asTested, type Image } from '../domain/image.ts';
import type { ImageQuery } from '../domain/image-query.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { Store } from '../domain/ports/store.ts';

type Catalogue = Pick<Store, 'images' | 'catalogue' | 'channels' | 'releases' | 'services'>;

const PAGE = 100;

export interface RevokedUse {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly group: ServerGroupName;
  readonly release: ReleaseNumber;
  readonly image: string;
  /** The release that served last and whose image is fit. */
  readonly replacement?: ReleaseNumber;
  /** Where there is none: the newest image that is fit and may be released there. Neither: nothing can replace it. */
  readonly newer?: Image;
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
      const newer = replacement === undefined ? await newestGood(store, image, environment) : undefined;
      found.push({
        component,
        environment,
        group: group.name,
        release: group.release,
        image: image.id,
        ...(replacement === undefined ? {} : { replacement: replacement.number }),
        ...(newer === undefined ? {} : { newer }),
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

/** A protected environment takes only what its channel holds or held. */
async function newestGood(
  store: Catalogue,
  { component, definition }: Image,
  environment: EnvironmentName,
): Promise<Image | undefined> {
  const { channel } = definition.environments[environment] ?? definition.defaults;
  if (channel !== undefined) {
    for (const move of await store.channels.history(component, channel)) {
      const image = await store.images.get(move.image);
      if (image !== undefined && asTested(image) !== undefined) return image;
    }
    return undefined;
  }
  const tested: ImageQuery = {
    conditions: [
      { on: 'field', field: 'component', values: [component], negated: false },
      { on: 'field', field: 'tested', values: ['true'], negated: false },
      { on: 'field', field: 'revoked', values: ['false'], negated: false },
    ],
    versions: [],
    order: 'newest',
  };
  return (await store.catalogue.search(tested, { limit: 1 })).items[0];
}

/** One use of each service that something can replace. */
export function replaceable(uses: readonly RevokedUse[]): readonly RevokedUse[] {
  const services = new Map<ServiceKey, RevokedUse>();
  for (const use of uses) {
    if (use.replacement !== undefined || use.newer !== undefined)
      services.set(serviceKey(use.component, use.environment), use);
  }
  return [...services.values()];
}
