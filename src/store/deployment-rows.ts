/** Rows of the table `deployments` as the noun, and back. */
import type { Decisions, Deployment } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import {
  type DeploymentId,
  type ReleaseNumber,
  type ServiceKey,
  serviceKey,
  serviceParts,
} from '../domain/ids.ts';
import type { DeploymentRequest } from '../domain/ports/deployments.ts';
import type { ChangeTransaction } from './change.ts';
import type { Reader } from './engine.ts';
import { fromJson, toJson } from './json.ts';
import type { DeploymentTable } from './tables/deployments.ts';

export function asDeployment(row: DeploymentTable): Deployment {
  return {
    id: row.id,
    component: row.component,
    environment: row.environment,
    reason: row.reason,
    ...(row.from_release === null ? {} : { from: row.from_release }),
    to: row.to_release,
    strategy: row.strategy,
    state: row.state,
    decisions: fromJson<Decisions>(row.decisions),
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    ...(row.ended_at_ms === null ? {} : { endedAtMs: row.ended_at_ms }),
    ...(row.failure === null ? {} : { failure: fromJson<NonNullable<Deployment['failure']>>(row.failure) }),
  };
}

/** Its id is made of its revision: unique in this store, and telling in which order they were asked for. */
export async function insertDeployment(
  tx: ChangeTransaction,
  request: DeploymentRequest,
  state: 'queued' | 'running',
): Promise<Deployment> {
  const { component, environment, reason, to, strategy } = request;
  const from =
    state === 'running' ? await servingRelease(tx.db, serviceKey(component, environment)) : undefined;
  const row: DeploymentTable = {
    id: `d${tx.revision}` as DeploymentId,
    ordinal: tx.revision,
    component,
    environment,
    reason,
    from_release: from ?? null,
    to_release: to,
    strategy,
    state,
    decisions: toJson({}),
    created_at_ms: tx.atMs,
    created_by: tx.actor,
    ended_at_ms: null,
    failure: null,
  };
  await tx.db.insertInto('deployments').values(row).execute();
  return asDeployment(row);
}

/** Running first, then queued in the order asked for. */
export async function openDeployments(db: Reader, service: ServiceKey): Promise<readonly Deployment[]> {
  const { component, environment } = serviceParts(service);
  const rows = await db
    .selectFrom('deployments')
    .selectAll()
    .where('component', '=', component)
    .where('environment', '=', environment)
    .where('state', 'in', ['queued', 'running'])
    .orderBy('state', 'desc')
    .orderBy('ordinal')
    .execute();
  return rows.map(asDeployment);
}

export async function requireDeployment(db: Reader, id: DeploymentId): Promise<Deployment> {
  const row = await db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
  if (row) return asDeployment(row);
  throw new KilnError('not-found', `There is no deployment ${id}.`, {
    next: 'List the deployments to see which there are.',
    details: { deployment: id },
  });
}

export async function servingRelease(db: Reader, service: ServiceKey): Promise<ReleaseNumber | undefined> {
  const { component, environment } = serviceParts(service);
  const row = await db
    .selectFrom('services')
    .select('serving')
    .where('component', '=', component)
    .where('environment', '=', environment)
    .executeTakeFirst();
  return row?.serving ?? undefined;
}

export async function setDecisions(
  tx: ChangeTransaction,
  id: DeploymentId,
  decisions: Decisions,
): Promise<void> {
  await tx.db
    .updateTable('deployments')
    .set({ decisions: toJson(decisions) })
    .where('id', '=', id)
    .execute();
}
