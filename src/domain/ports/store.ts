/**
 * Kiln's memory, offered as whole transactions by name. Every write takes the next
 * revision inside its transaction, appends its events and its audit line there, and
 * is durable when it returns. Writes that belong to a deployment's owner carry the
 * fence of its lease and fail with `fence.stale` once somebody else holds it.
 */
import type { AuditStore } from './audit.ts';
import type { CatalogueStore } from './catalogue.ts';
import type { ChannelPolicyStore, ChannelStore } from './channels.ts';
import type { DeploymentStore } from './deployments.ts';
import type { EventStore } from './events.ts';
import type { ExecutionHistoryStore } from './execution-history.ts';
import type { ExecutionStore } from './executions.ts';
import type { FindingStore } from './findings.ts';
import type { IdempotencyStore } from './idempotency.ts';
import type { ImageStore } from './images.ts';
import type { JanitorStore } from './janitor.ts';
import type { LeaseStore } from './leases.ts';
import type { PauseStore } from './pauses.ts';
import type { RebakeStore } from './rebakes.ts';
import type { ReleaseStore } from './releases.ts';
import type { ServerStore } from './servers.ts';
import type { ServiceStore } from './services.ts';
import type { LogPlaceStore } from './task-log.ts';
import type { TokenStore } from './tokens.ts';
import type { TriggerStore } from './triggers.ts';
import type { WebhookStore } from './webhooks.ts';

export interface Store {
  readonly engine: 'sqlite' | 'postgres';
  readonly images: ImageStore;
  readonly catalogue: CatalogueStore;
  readonly channels: ChannelStore;
  readonly channelPolicies: ChannelPolicyStore;
  readonly findings: FindingStore;
  readonly pauses: PauseStore;
  readonly rebakes: RebakeStore;
  readonly janitor: JanitorStore;
  readonly releases: ReleaseStore;
  readonly deployments: DeploymentStore;
  readonly executions: ExecutionStore;
  readonly executionHistory: ExecutionHistoryStore;
  readonly logPlaces: LogPlaceStore;
  readonly triggers: TriggerStore;
  readonly webhooks: WebhookStore;
  readonly servers: ServerStore;
  readonly services: ServiceStore;
  readonly leases: LeaseStore;
  readonly tokens: TokenStore;
  readonly idempotency: IdempotencyStore;
  readonly events: EventStore;
  readonly audit: AuditStore;
  /** Fails fast when the store cannot be written. */
  ping(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
