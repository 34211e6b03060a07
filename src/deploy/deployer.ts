/** The verbs: release, plan, deploy, rollback, cancel, stop. They decide and store; the owners carry it out. */

import type { CallAttempt, Change } from '../domain/change.ts';
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
} from '../domain/ids.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { Release } from '../domain/release.ts';
import { emptyMemory, observe } from './observe.ts';
import type { Owners } from './owners.ts';
import type { DeployParts } from './parts.ts';
import { type Preview, preview } from './planner/preview.ts';
import type { World } from './planner/world.ts';
import { ReleaseChoice, type ReleaseWish } from './release-choice.ts';

export interface DeployRequest extends ReleaseWish {
  readonly strategy?: Strategy;
  readonly onConflict: OnConflict;
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
  private readonly choice: ReleaseChoice;

  constructor(parts: DeployParts, owners: Pick<Owners, 'wake'>) {
    this.parts = parts;
    this.owners = owners;
    this.choice = new ReleaseChoice(parts);
  }

  async deploy(request: DeployRequest): Promise<DeployOutcome> {
    const { component, environment } = request;
    const { store } = this.parts;
    const release = await this.choice.toDeploy(request);
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
    const release = await this.choice.toPreview(request);
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
      request.to === undefined
        ? await this.choice.lastServed(service)
        : await this.choice.byNumber(service, request.to);
    await this.choice.assertFit(to);
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
