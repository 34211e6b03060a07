/** Which release a deployment brings: one that is there already, or a new one of an image. */
import { isDeepStrictEqual } from 'node:util';
import { type ResolvedRelease, resolveRelease } from '../config/resolve-release.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type ChannelName,
  type ComponentName,
  type EnvironmentName,
  type ReleaseNumber,
  type ServiceKey,
  serviceKey,
  serviceParts,
} from '../domain/ids.ts';
import { asPromoted, asTested, type Image } from '../domain/image.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Release } from '../domain/release.ts';
import { rollbackOrder } from '../domain/rollback.ts';
import { artifactFor } from './artifact-choice.ts';
import { targetOf } from './group-spec.ts';
import type { DeployParts } from './parts.ts';

/** For a target to say what it can do. */
const TARGET_LIMIT_MS = 30_000;

export interface ReleaseWish {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  /** The image to release, or the number of a release to deploy again. */
  readonly what: { readonly image: Image } | { readonly release: ReleaseNumber };
  readonly actor: string;
}

/**
 * Why the image may not be released there: it was revoked (`image.unfit`), or the channel that protects the environment
 * never held it (`release.not-promoted`). Undefined: it may.
 */
export async function releaseRefusal(
  channels: Pick<Store['channels'], 'history'>,
  image: Image,
  environment: EnvironmentName,
  channel: ChannelName | undefined,
): Promise<KilnError | undefined> {
  const { id, component, version, revoked } = image;
  if (revoked !== undefined) {
    return new KilnError('image.unfit', `Image ${id} was revoked: ${revoked.why}.`, {
      next: 'Choose another image.',
    });
  }
  if (channel === undefined) return undefined;
  const history = await channels.history(component, channel);
  if (asPromoted(image, history) !== undefined) return undefined;
  const reason = asTested(image) === undefined ? 'its checks have not all passed' : 'it was never promoted';
  return new KilnError(
    'release.not-promoted',
    `${environment} takes only images of the channel ${channel}, and ${component} ${version} is not one: ${reason}.`,
    { next: `Run: kiln promote ${component}@${version} ${channel}` },
  );
}

export class ReleaseChoice {
  private readonly parts: Pick<DeployParts, 'store' | 'clock' | 'targets'>;

  constructor(parts: Pick<DeployParts, 'store' | 'clock' | 'targets'>) {
    this.parts = parts;
  }

  /** A deployment of the same image, configuration, settings and routes as the newest release's makes no new one. */
  async toDeploy(request: ReleaseWish): Promise<Release> {
    const { component, environment, what, actor } = request;
    if ('release' in what) {
      const release = await this.byNumber(serviceKey(component, environment), what.release);
      await this.assertFit(release);
      return release;
    }
    const resolved = await this.resolve(what.image, environment);
    const same = await this.sameRelease(component, environment, what.image, resolved);
    if (same !== undefined) return same;
    return this.parts.store.releases.create(await this.draft(what.image, environment, resolved), {
      actor,
      atMs: this.parts.clock.now(),
    });
  }

  /** As `toDeploy`, with nothing made: a new one has the number that it would get. */
  async toPreview(request: ReleaseWish): Promise<ReleaseWithState> {
    const { component, environment, what, actor } = request;
    if ('release' in what) return this.byNumber(serviceKey(component, environment), what.release);
    const resolved = await this.resolve(what.image, environment);
    const same = await this.sameRelease(component, environment, what.image, resolved);
    if (same !== undefined) return same;
    const latest = await this.latestRelease(component, environment);
    const number = (latest?.number ?? 0) + 1;
    const made = { number, createdAtMs: this.parts.clock.now(), createdBy: actor };
    return { ...(await this.draft(what.image, environment, resolved)), ...made };
  }

  private async resolve(image: Image, environment: EnvironmentName): Promise<ResolvedRelease> {
    const resolved = resolveRelease(image, environment);
    const { channels } = this.parts.store;
    const refusal = await releaseRefusal(channels, image, environment, resolved.channel);
    if (refusal !== undefined) throw refusal;
    return resolved;
  }

  private async latestRelease(
    component: ComponentName,
    environment: EnvironmentName,
  ): Promise<ReleaseWithState | undefined> {
    return (await this.parts.store.releases.list({ component, environment }, { limit: 1 })).items[0];
  }

  /** The newest release when it is the same in everything that matters, and could stay up. */
  private async sameRelease(
    component: ComponentName,
    environment: EnvironmentName,
    image: Image,
    resolved: ResolvedRelease,
  ): Promise<ReleaseWithState | undefined> {
    const latest = await this.latestRelease(component, environment);
    if (latest === undefined || latest.bad !== undefined) return undefined;
    const same =
      latest.image === image.id &&
      latest.config.digest === resolved.config.digest &&
      isDeepStrictEqual(latest.settings, resolved.settings) &&
      isDeepStrictEqual(latest.routes, resolved.routes);
    return same ? latest : undefined;
  }

  async byNumber(service: ServiceKey, number: ReleaseNumber): Promise<ReleaseWithState> {
    const { component, environment } = serviceParts(service);
    const found = await this.parts.store.releases.get(component, environment, number);
    if (found !== undefined) return found;
    throw new KilnError('not-found', `${component} has no release ${number} in ${environment}.`, {
      next: `Run: kiln releases ${component} ${environment}`,
    });
  }

  /** Fails when its image was revoked, or has been swept. */
  async assertFit(release: Release): Promise<void> {
    const image = await this.parts.store.images.get(release.image);
    if (image === undefined) {
      throw new KilnError(
        'image.unfit',
        `The image of release ${release.number}, ${release.component} ${release.version}, has been swept.`,
        { next: 'Choose a later release, or bake that version again and deploy it.' },
      );
    }
    if (image.revoked === undefined) return;
    throw new KilnError(
      'image.unfit',
      `The image of release ${release.number} was revoked: ${image.revoked.why}.`,
      {
        next: 'Choose another release.',
      },
    );
  }

  private async draft(
    image: Image,
    environment: EnvironmentName,
    { config, settings, routes }: ResolvedRelease,
  ): Promise<Omit<Release, 'number' | 'createdAtMs' | 'createdBy'>> {
    const target = targetOf(this.parts, settings.target);
    const artifact = await artifactFor(image, target, AbortSignal.timeout(TARGET_LIMIT_MS));
    return {
      component: image.component,
      environment,
      image: image.id,
      version: image.version,
      artifact: artifact.digest,
      config,
      settings,
      routes,
    };
  }

  /** The next one that a rollback turns to. */
  async lastServed(service: ServiceKey): Promise<ReleaseWithState> {
    const { component, environment } = serviceParts(service);
    const serving = (await this.parts.store.services.get(service))?.serving ?? null;
    const past = (await this.allReleases(component, environment)).map((release) => ({
      number: release.number,
      servedAtMs: release.servedAtMs ?? null,
      bad: release.bad !== undefined,
      release,
    }));
    const [next] = rollbackOrder(past, serving);
    if (next !== undefined) return next.release;
    throw new KilnError(
      'rollback.nothing',
      `No release of ${component} served in ${environment} before this one.`,
      {
        next: `Name one: kiln releases ${component} ${environment}, then kiln rollback --to N`,
      },
    );
  }

  private async allReleases(
    component: ComponentName,
    environment: EnvironmentName,
  ): Promise<readonly ReleaseWithState[]> {
    const all: ReleaseWithState[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.parts.store.releases.list(
        { component, environment },
        { limit: 100, ...(cursor === undefined ? {} : { cursor }) },
      );
      all.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== undefined);
    return all;
  }
}
