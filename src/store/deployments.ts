/**
 * One deployment of a service runs at a time; the others wait behind it in the order asked for.
 *
 *   create ─► running ─finish─► deployed | failed | cancelled
 *        └──► queued ─startNext─► running
 *                  └─requestCancel─► cancelled     (it had not begun, so nothing is to be undone)
 *
 * - create and requestCancel are people's words; all else is the owner's, under its fence.
 * - With `deployed`, the release serves from then on: one transaction, so that no reader ever
 *   sees the one without the other.
 */

import type { Change } from '../domain/change.ts';
import type { Decisions, Deployment } from '../domain/deployment.ts';
import type {
  ComponentName,
  DeploymentId,
  EnvironmentName,
  Fence,
  ReleaseNumber,
  ServiceKey,
} from '../domain/ids.ts';
import { serviceKey, serviceParts } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type { DeploymentRequest, DeploymentStore } from '../domain/ports/deployments.ts';
import { refuseRevoked } from './catalogue/revocations.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import { deploymentEnded, deploymentInProgress } from './deployment-refusals.ts';
import {
  asDeployment,
  insertDeployment,
  openDeployments,
  requireDeployment,
  servingRelease,
  setDecisions,
} from './deployment-rows.ts';
import type { WriteOptions } from './engine.ts';
import { requireFence } from './fences.ts';
import { requireImage } from './images.ts';
import { toJson } from './json.ts';
import { pageBounds, pageByOrdinal, serviceColumns } from './page.ts';
import { requireRelease } from './releases.ts';
import { refuseForeignRoutes, releaseRoutes } from './routes.ts';

type Outcome = Parameters<DeploymentStore['finish']>[1];

const REPEATABLE: WriteOptions = { repeatable: true };

export class Deployments implements DeploymentStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(request: DeploymentRequest, change: Change): Promise<Deployment> {
    return this.#database.change(change, async (tx) => {
      const service = serviceKey(request.component, request.environment);
      const image = await requireRelease(tx, service, request.to);
      await requireImage(tx.db, image);
      await refuseRevoked(tx.db, image);
      await refuseForeignRoutes(tx.db, service, await releaseRoutes(tx.db, service, request.to));
      const [first] = await openDeployments(tx.db, service);
      if (first && request.onConflict === 'refuse') throw deploymentInProgress(first);
      if (first && request.onConflict === 'replace') await cancel(tx, first);
      const stillOpen = await openDeployments(tx.db, service);
      const state = stillOpen.length === 0 ? 'running' : 'queued';
      const deployment = await insertDeployment(tx, request, state);
      announce(tx, state === 'running' ? 'deployment.started' : 'deployment.queued', deployment);
      tx.audit('deployment.create', deployment.id, summary(deployment));
      return deployment;
    });
  }

  get(id: DeploymentId): Promise<Deployment | undefined> {
    return this.#database.read(async (db) => {
      const row = await db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
      return row && asDeployment(row);
    });
  }

  open(service: ServiceKey): Promise<readonly Deployment[]> {
    return this.#database.read((db) => openDeployments(db, service));
  }

  async list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<Deployment>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('deployments')
        .selectAll()
        .where((row) => row.and(serviceColumns(filter)))
        .where('ordinal', '<', bounds.before)
        .orderBy('ordinal', 'desc')
        .limit(bounds.fetch)
        .execute();
      return pageByOrdinal(rows, bounds, asDeployment);
    });
  }

  requestCancel(id: DeploymentId, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const deployment = await requireDeployment(tx.db, id);
      if (deployment.endedAtMs !== undefined) throw deploymentEnded(deployment);
      const cancelled = await cancel(tx, deployment);
      if (cancelled) tx.audit('deployment.cancel', id, summary(deployment));
    });
  }

  startNext(service: ServiceKey, fence: Fence, change: Change): Promise<Deployment | undefined> {
    return this.#database.change(change, async (tx) => {
      await requireFence(tx.db, service, fence);
      const [first] = await openDeployments(tx.db, service);
      if (!first || first.state === 'running') return undefined;
      const from = await servingRelease(tx.db, service);
      await tx.db
        .updateTable('deployments')
        .set({ state: 'running', from_release: from ?? null })
        .where('id', '=', first.id)
        .execute();
      const started = await requireDeployment(tx.db, first.id);
      announce(tx, 'deployment.started', started);
      tx.audit('deployment.start', started.id, summary(started));
      return started;
    });
  }

  decide(id: DeploymentId, decisions: Decisions, fence: Fence, change: Change): Promise<Deployment> {
    return this.#database.change(
      change,
      async (tx) => {
        const deployment = await requireDeployment(tx.db, id);
        await requireFence(tx.db, serviceOf(deployment), fence);
        if (deployment.state !== 'running') throw deploymentEnded(deployment);
        const merged: Decisions = { ...decisions, ...deployment.decisions };
        if (toJson(merged) === toJson(deployment.decisions)) return deployment;
        await setDecisions(tx, id, merged);
        const added = Object.keys(merged).filter((key) => !Object.hasOwn(deployment.decisions, key));
        announce(tx, 'deployment.decided', deployment, { decided: added });
        tx.audit('deployment.decide', id, { decisions: pick(merged, added) });
        return { ...deployment, decisions: merged };
      },
      REPEATABLE,
    );
  }

  progress(
    id: DeploymentId,
    data: Readonly<Record<string, unknown>>,
    fence: Fence,
    change: Change,
  ): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const deployment = await requireDeployment(tx.db, id);
      await requireFence(tx.db, serviceOf(deployment), fence);
      // Only an event: it changes nothing that an audit would ask for.
      tx.event('deployment.progress', id, { ...data, service: serviceOf(deployment) });
    });
  }

  finish(id: DeploymentId, outcome: Outcome, fence: Fence, change: Change): Promise<Deployment> {
    return this.#database.change(
      change,
      async (tx) => {
        const deployment = await requireDeployment(tx.db, id);
        await requireFence(tx.db, serviceOf(deployment), fence);
        if (deployment.state === outcome.state) return deployment;
        if (deployment.state !== 'running') throw deploymentEnded(deployment);
        const ended = await end(tx, deployment, outcome);
        if (outcome.state === 'deployed') await serve(tx, serviceOf(deployment), deployment.to);
        tx.audit('deployment.finish', id, { ...summary(ended), state: ended.state });
        return ended;
      },
      REPEATABLE,
    );
  }
}

function serviceOf(deployment: Deployment): ServiceKey {
  return serviceKey(deployment.component, deployment.environment);
}

function summary(deployment: Deployment): Readonly<Record<string, unknown>> {
  const { reason, from, to, strategy } = deployment;
  return { service: serviceOf(deployment), reason, from, to, strategy };
}

function announce(
  tx: ChangeTransaction,
  kind: string,
  deployment: Deployment,
  more: Readonly<Record<string, unknown>> = {},
): void {
  tx.event(kind, deployment.id, { ...summary(deployment), ...more });
}

function pick(decisions: Decisions, keys: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(decisions).filter(([key]) => keys.includes(key)));
}

/** A queued one ends at once; a running one is asked to. False: it had been asked before. */
async function cancel(tx: ChangeTransaction, deployment: Deployment): Promise<boolean> {
  if (deployment.state === 'queued') {
    const failure = {
      code: 'deployment.cancelled',
      message: `Cancelled by ${tx.actor} before it had begun.`,
    };
    await end(tx, deployment, { state: 'cancelled', failure });
    return true;
  }
  if (deployment.decisions.cancelRequestedAtMs !== undefined) return false;
  await setDecisions(tx, deployment.id, { ...deployment.decisions, cancelRequestedAtMs: tx.atMs });
  announce(tx, 'deployment.cancel-requested', deployment, { by: tx.actor });
  return true;
}

async function end(tx: ChangeTransaction, deployment: Deployment, outcome: Outcome): Promise<Deployment> {
  const failure = outcome.failure;
  await tx.db
    .updateTable('deployments')
    .set({
      state: outcome.state,
      ended_at_ms: tx.atMs,
      failure: failure === undefined ? null : toJson(failure),
    })
    .where('id', '=', deployment.id)
    .execute();
  announce(tx, 'deployment.finished', deployment, { state: outcome.state, failure });
  return {
    ...deployment,
    state: outcome.state,
    endedAtMs: tx.atMs,
    ...(failure === undefined ? {} : { failure }),
  };
}

/** The release serves, and a service that was stopped is no longer. */
async function serve(tx: ChangeTransaction, service: ServiceKey, number: ReleaseNumber): Promise<void> {
  const { component, environment } = serviceParts(service);
  await tx.db
    .updateTable('services')
    .set({ serving: number, stopped: 0 })
    .where('component', '=', component)
    .where('environment', '=', environment)
    .execute();
  await tx.db
    .updateTable('releases')
    .set({ served_at_ms: tx.atMs })
    .where('component', '=', component)
    .where('environment', '=', environment)
    .where('number', '=', number)
    .execute();
  tx.event('service.serving', service, { release: number });
}
