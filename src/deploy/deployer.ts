/** The verbs: release, plan, deploy, rollback, cancel, stop. They decide and store; the owners carry it out. */
import { isDeepStrictEqual } from 'node:util';
import { type ResolvedRelease, resolveRelease } from '../config/resolve-release.ts';
import type { Strategy } from '../domain/component.ts';
import type { Deployment, OnConflict } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type ComponentName,
  type DeploymentId,
  type EnvironmentName,
  type ReleaseNumber,
  type ServiceKey,
  serviceKey,
  serviceParts,
} from '../domain/ids.ts';
import { asPromoted, asTested, type Image, isStored } from '../domain/image.ts';
import type { CallAttempt, Change, ReleaseWithState } from '../domain/ports/store.ts';
import type { Release } from '../domain/release.ts';
import { emptyMemory, observe } from './observe.ts';
import type { Owners } from './owners.ts';
import type { DeployParts } from './parts.ts';
import { type Preview, preview } from './planner/preview.ts';
import type { World } from './planner/world.ts';

export interface DeployRequest {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  /** The image to release, or the number of a release to deploy again. */
  readonly what: { readonly image: Image } | { readonly release: ReleaseNumber };
  readonly strategy?: Strategy;
  readonly onConflict: OnConflict;
  readonly actor: string;
  /** Of the call that asks for it: its key keeps the deployment from being made twice. */
  readonly attempt?: CallAttempt;
}

export type DeployOutcome =
  /** The same image, configuration, settings and routes serve already. */
  | { readonly kind: 'unchanged'; readonly release: Release }
  | { readonly kind: 'started'; readonly release: Release; readonly deployment: Deployment };

export interface DeployPreview extends Preview {
  readonly unchanged: boolean;
  /** Present: what serves now. */
  readonly from?: ReleaseNumber;
  /** The number it has, or would get. */
  readonly to: ReleaseNumber;
  readonly strategy: Strategy;
}

const SETTLED = new Set<Deployment['state']>(['deployed', 'failed', 'cancelled']);

export class Deployer {
  private readonly parts: DeployParts;
  private readonly owners: Pick<Owners, 'wake'>;

  constructor(parts: DeployParts, owners: Pick<Owners, 'wake'>) {
    this.parts = parts;
    this.owners = owners;
  }

  async deploy(request: DeployRequest): Promise<DeployOutcome> {
    const { component, environment } = request;
    const { store } = this.parts;
    const release = await this.releaseFor(request);
    const service = serviceKey(component, environment);
    if (await this.serves(service, release.number)) return { kind: 'unchanged', release };
    const strategy = servingStrategy(request.strategy ?? release.settings.deploy.strategy);
    const { onConflict, actor, attempt } = request;
    const deployment = await store.deployments.create(
      { component, environment, reason: 'deploy', to: release.number, strategy, onConflict },
      this.change(actor, attempt),
    );
    this.owners.wake(service);
    return { kind: 'started', release, deployment };
  }

  /** The steps that `deploy` would take from what is observed now; changes nothing. */
  async plan(request: Omit<DeployRequest, 'onConflict'>, signal: AbortSignal): Promise<DeployPreview> {
    const { component, environment } = request;
    const service = serviceKey(component, environment);
    const release = await this.previewedRelease(request);
    const strategy = servingStrategy(request.strategy ?? release.settings.deploy.strategy);
    const { world } = await observe(this.parts, service, emptyMemory(), signal);
    const unchanged = world.service.serving === release.number && !world.service.stopped;
    const from = world.service.serving === undefined ? {} : { from: world.service.serving };
    const shared = { unchanged, ...from, to: release.number, strategy };
    if (unchanged) return { ...shared, steps: [], afterwards: [], warnings: [] };
    return { ...shared, ...preview(imagine(world, release, strategy, request.actor)) };
  }

  /** To the release given, or to the last one that served before the one that serves now. */
  async rollback(request: {
    readonly component: ComponentName;
    readonly environment: EnvironmentName;
    readonly to?: ReleaseNumber;
    readonly onConflict: OnConflict;
    readonly actor: string;
    readonly attempt?: CallAttempt;
  }): Promise<Deployment> {
    const { component, environment, onConflict, actor, attempt } = request;
    const service = serviceKey(component, environment);
    const to =
      request.to === undefined ? await this.lastServed(service) : await this.release(service, request.to);
    await this.assertFit(to);
    const deployment = await this.parts.store.deployments.create(
      { component, environment, reason: 'rollback', to: to.number, strategy: 'blue-green', onConflict },
      this.change(actor, attempt),
    );
    this.owners.wake(service);
    return deployment;
  }

  async cancel(id: DeploymentId, actor: string, attempt?: CallAttempt): Promise<void> {
    const deployment = await this.deployment(id);
    await this.parts.store.deployments.requestCancel(id, this.change(actor, attempt));
    this.owners.wake(serviceKey(deployment.component, deployment.environment));
  }

  /** Stops everything of the service until the next deployment. */
  async stop(
    component: ComponentName,
    environment: EnvironmentName,
    actor: string,
    attempt?: CallAttempt,
  ): Promise<void> {
    const service = serviceKey(component, environment);
    await this.parts.store.services.setStopped(service, true, this.change(actor, attempt));
    this.owners.wake(service);
  }

  async deployment(id: DeploymentId): Promise<Deployment> {
    const found = await this.parts.store.deployments.get(id);
    if (found === undefined) throw new KilnError('not-found', `There is no deployment ${id}.`);
    return found;
  }

  /** Resolves when the deployment has ended, or as it is after `timeoutMs`. */
  async wait(id: DeploymentId, timeoutMs: number, signal: AbortSignal): Promise<Deployment> {
    const { store, clock } = this.parts;
    const deadline = clock.monotonic() + timeoutMs;
    for (;;) {
      const revision = await store.events.revision();
      const deployment = await this.deployment(id);
      const leftMs = deadline - clock.monotonic();
      if (SETTLED.has(deployment.state) || leftMs <= 0) return deployment;
      const limit = AbortSignal.timeout(Math.ceil(leftMs));
      await store.events.waitAfter(revision, AbortSignal.any([signal, limit])).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!limit.aborted) throw error;
      });
    }
  }

  private change(actor: string, attempt?: CallAttempt): Change {
    return { actor, atMs: this.parts.clock.now(), ...(attempt === undefined ? {} : { attempt }) };
  }

  private async serves(service: ServiceKey, number: ReleaseNumber): Promise<boolean> {
    const { store } = this.parts;
    const [state, open] = await Promise.all([store.services.get(service), store.deployments.open(service)]);
    return state?.serving === number && !state.stopped && open.length === 0;
  }

  private async releaseFor(request: DeployRequest): Promise<Release> {
    const { component, environment, what, actor } = request;
    if ('release' in what) {
      const release = await this.release(serviceKey(component, environment), what.release);
      await this.assertFit(release);
      return release;
    }
    const resolved = await this.resolve(what.image, environment);
    const same = await this.sameRelease(component, environment, what.image, resolved);
    if (same !== undefined) return same;
    return this.parts.store.releases.create(draft(what.image, environment, resolved), this.change(actor));
  }

  private async previewedRelease(request: Omit<DeployRequest, 'onConflict'>): Promise<ReleaseWithState> {
    const { component, environment, what, actor } = request;
    if ('release' in what) return this.release(serviceKey(component, environment), what.release);
    const resolved = await this.resolve(what.image, environment);
    const same = await this.sameRelease(component, environment, what.image, resolved);
    if (same !== undefined) return same;
    const latest = await this.latestRelease(component, environment);
    const number = (latest?.number ?? 0) + 1;
    const made = { number, createdAtMs: this.parts.clock.now(), createdBy: actor };
    return { ...draft(what.image, environment, resolved), ...made };
  }

  private async resolve(image: Image, environment: EnvironmentName): Promise<ResolvedRelease> {
    const resolved = resolveRelease(image, environment);
    if (image.revoked !== undefined) {
      throw new KilnError('image.unfit', `Image ${image.id} was revoked: ${image.revoked.why}.`, {
        next: 'Choose another image.',
      });
    }
    if (resolved.channel === undefined) return resolved;
    const history = await this.parts.store.channels.history(image.component, resolved.channel);
    if (asPromoted(image, history) !== undefined) return resolved;
    const reason = asTested(image) === undefined ? 'its checks have not all passed' : 'it was never promoted';
    throw new KilnError(
      'release.not-promoted',
      `${environment} takes only images of the channel ${resolved.channel}, and ${image.component} ${image.version} is not one: ${reason}.`,
      { next: `Run: kiln promote ${image.component}@${image.version} ${resolved.channel}` },
    );
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

  private async release(service: ServiceKey, number: ReleaseNumber): Promise<ReleaseWithState> {
    const { component, environment } = serviceParts(service);
    const found = await this.parts.store.releases.get(component, environment, number);
    if (found !== undefined) return found;
    throw new KilnError('not-found', `${component} has no release ${number} in ${environment}.`, {
      next: `Run: kiln releases ${component} ${environment}`,
    });
  }

  private async assertFit(release: Release): Promise<void> {
    const image = await this.parts.store.images.get(release.image);
    if (image?.revoked === undefined) return;
    throw new KilnError(
      'image.unfit',
      `The image of release ${release.number} was revoked: ${image.revoked.why}.`,
      {
        next: 'Choose another release.',
      },
    );
  }

  /** After a rollback the number that serves is lower, so a second rollback goes further back, never forth. */
  private async lastServed(service: ServiceKey): Promise<ReleaseWithState> {
    const { store } = this.parts;
    const { component, environment } = serviceParts(service);
    const serving = (await store.services.get(service))?.serving ?? 0;
    let best: ReleaseWithState | undefined;
    let cursor: string | undefined;
    do {
      const page = await store.releases.list(
        { component, environment },
        { limit: 100, ...(cursor === undefined ? {} : { cursor }) },
      );
      for (const one of page.items) {
        if (one.number >= serving || one.servedAtMs === undefined || one.bad !== undefined) continue;
        if (one.servedAtMs > (best?.servedAtMs ?? 0)) best = one;
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    if (best !== undefined) return best;
    throw new KilnError(
      'rollback.nothing',
      `No release of ${component} served in ${environment} before this one.`,
      {
        next: `Name one: kiln releases ${component} ${environment}, then kiln rollback --to N`,
      },
    );
  }
}

function draft(
  image: Image,
  environment: EnvironmentName,
  resolved: ResolvedRelease,
): Omit<Release, 'number' | 'createdAtMs' | 'createdBy'> {
  const artifact = image.artifacts.filter(isStored).find((one) => one.kind === 'bundle');
  if (artifact === undefined) {
    throw new KilnError(
      'target.unsupported',
      `Image ${image.id} has no bundle, and the target runs only bundles.`,
      {
        next: 'Bake it with `image.kind: bundle`.',
      },
    );
  }
  const { config, settings, routes } = resolved;
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

function servingStrategy(strategy: Strategy): Strategy {
  if (strategy !== 'canary') return strategy;
  throw new KilnError('target.unsupported', 'The canary strategy is not available yet.', {
    next: 'Use `deploy: {strategy: blue-green}` or `rolling`.',
  });
}

/** The world as it would be with the deployment just begun. */
function imagine(world: World, release: ReleaseWithState, strategy: Strategy, actor: string): World {
  const { deployment: _, ...rest } = world;
  const { component, environment } = world.service;
  return {
    ...rest,
    queued: false,
    routing: { ...world.routing, inForce: true },
    releases: new Map([...world.releases, [release.number, release]]),
    deployment: {
      id: 'preview' as DeploymentId,
      component,
      environment,
      reason: 'deploy',
      to: release.number,
      strategy,
      state: 'running',
      decisions: {},
      createdAtMs: world.nowMs,
      createdBy: actor,
    },
  };
}
