/**
 * The tables, the same on both engines. Times are Unix milliseconds, flags are 0 or 1,
 * and `Json` columns hold canonical JSON text (see json.ts), so that what is hashed and
 * compared does not depend on the engine. An `ordinal` is the revision that made the row:
 * unique, growing in commit order, and so the key that lists are paged by.
 */
import type { Role } from '../domain/audit.ts';
import type { Strategy } from '../domain/component.ts';
import type { DeploymentReason, DeploymentState } from '../domain/deployment.ts';
import type {
  ChannelName,
  ComponentName,
  DeploymentId,
  Digest,
  EnvironmentName,
  Fence,
  ImageId,
  ReleaseNumber,
  Revision,
  ServerGroupName,
  ServiceKey,
} from '../domain/ids.ts';
import type { ExecutionStatus } from '../domain/ports/executions.ts';
import type { CommitState } from '../domain/webhook.ts';
import type { Json } from './json.ts';

/** The one row that every writer locks first: what makes commit order and revision order the same. */
export interface StateTable {
  id: 1;
  schema_version: number;
  revision: Revision;
  /** Revision and hash of the newest audit line: a cut-off end of the log shows too. */
  audit_revision: Revision;
  audit_hash: string;
  /** Written by `ping`, to know that the store takes writes. */
  checked_at_ms: number;
}

interface SchemaMigrationTable {
  version: number;
  name: string;
  applied_at_ms: number;
}

export interface EventTable {
  revision: Revision;
  at_ms: number;
  kind: string;
  subject: string;
  data: Json;
}

export interface AuditTable {
  revision: Revision;
  at_ms: number;
  actor: string;
  action: string;
  subject: string;
  detail: Json;
  hash: string;
}

export interface ImageTable {
  id: ImageId;
  ordinal: Revision;
  component: ComponentName;
  version: string;
  input_key: Digest;
  body: Json;
  /** Set: the row stays for those who name it; its `version` has the id behind it, and its `body` little left. */
  swept_at_ms: number | null;
}

interface ImageArtifactTable {
  image_id: ImageId;
  digest: Digest;
}

interface ImageCheckTable {
  image_id: ImageId;
  ordinal: Revision;
  body: Json;
}

interface ImageFindingTable {
  image_id: ImageId;
  source: string;
  at_ms: number;
  body: Json;
}

interface WaiverTable {
  id: string;
  ordinal: Revision;
  body: Json;
}

export interface ChannelMoveTable {
  ordinal: Revision;
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
  previous: ImageId | null;
  moved_by: string;
  why: string;
  at_ms: number;
  evidence: Json | null;
}

export interface ReleaseTable {
  component: ComponentName;
  environment: EnvironmentName;
  number: ReleaseNumber;
  ordinal: Revision;
  image_id: ImageId;
  body: Json;
  served_at_ms: number | null;
  bad: Json | null;
}

interface ReleaseRouteTable {
  host: string;
  path: string;
  component: ComponentName;
  environment: EnvironmentName;
  number: ReleaseNumber;
}

export interface DeploymentTable {
  id: DeploymentId;
  ordinal: Revision;
  component: ComponentName;
  environment: EnvironmentName;
  reason: DeploymentReason;
  from_release: ReleaseNumber | null;
  to_release: ReleaseNumber;
  strategy: Strategy;
  state: DeploymentState;
  decisions: Json;
  created_at_ms: number;
  created_by: string;
  ended_at_ms: number | null;
  failure: Json | null;
}

export interface ServiceTable {
  component: ComponentName;
  environment: EnvironmentName;
  /** Newest number given to a release; numbers are never given twice. */
  last_release: ReleaseNumber;
  serving: ReleaseNumber | null;
  stopped: number;
  weights: Json;
}

interface ServerGroupTable {
  name: ServerGroupName;
  component: ComponentName;
  environment: EnvironmentName;
  body: Json;
}

export interface LeaseTable {
  service: ServiceKey;
  /** Null once released: the fence stays, so that the next holder gets a higher one. */
  holder: string | null;
  fence: Fence;
  expires_at_ms: number;
}

export interface TokenTable {
  id: string;
  ordinal: Revision;
  name: string;
  role: Role;
  environments: Json;
  secret_hash: string;
  created_at_ms: number;
  expires_at_ms: number | null;
}

interface IdempotencyTable {
  actor: string;
  key: string;
  request_hash: string;
  /** Null until answered. */
  status: number | null;
  body: string | null;
  /** Of the server that carries it out; null: nobody does. */
  attempt: string | null;
  /** Subject of what was made under the key. */
  made: string | null;
  at_ms: number;
}

/** What the catalogue finds an image by; its number counts images and is never given twice. */
export interface ImageIndexTable {
  number: number;
  image_id: ImageId;
  component: ComponentName;
  /** See store/catalogue/version-blocks.ts. */
  place: string;
  /** The number of the image that it was baked from, and `component@channel`, where that one was taken from. */
  parent: number | null;
  base: string | null;
  created_at_ms: number;
  /** When an instance of it was last known to run. */
  used_at_ms: number | null;
  pinned: number;
}

/** Which images stand under a term, in chunks of numbers; see store/catalogue/bits.ts. */
interface ImagePostingTable {
  term: string;
  chunk: number;
  bits: Uint8Array;
}

interface VersionBlockTable {
  component: string;
  first_place: string;
  numbers: Uint8Array;
}

/** An image that others were baked from, by the channel that they took it from. */
interface ImageEdgeTable {
  parent: number;
  base: string;
  outdated: number;
}

interface ChannelPolicyTable {
  component: ComponentName;
  channel: ChannelName;
  body: Json;
}

export interface EnvironmentPauseTable {
  environment: EnvironmentName;
  paused_by: string;
  why: string;
  at_ms: number;
}

export interface RebakeTable {
  image_id: ImageId;
  onto: ImageId;
  ordinal: Revision;
  at_ms: number;
  failed: number;
  body: Json;
}

interface ChannelApprovalTable {
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
  approved_by: string;
  why: string;
  at_ms: number;
}

/** What each channel holds now: the newest of its moves. */
interface ChannelHeadTable {
  component: ComponentName;
  channel: ChannelName;
  image_id: ImageId;
}

interface ImageRevocationTable {
  image_id: ImageId;
  ordinal: Revision;
  body: Json;
}

/** One row. */
interface JanitorTable {
  id: 1;
  enabled: number;
  /** When it was last noted which images run. */
  uses_seen_at_ms: number;
  last_run_at_ms: number | null;
  last_references: number;
}

interface JanitorMarkTable {
  number: number;
  marked_at_ms: number;
  sweep_after_ms: number;
}

/** Artifacts of images that were swept, until whoever keeps them has deleted them. */
interface SweptArtifactTable {
  image_id: ImageId;
  position: number;
  body: Json;
}

/** Where an image is in a registry, as `HOST/NAME@sha256:…`. */
interface ImageCopyTable {
  image_id: ImageId;
  reference: string;
}

interface PipelineDefinitionTable {
  name: string;
  body: Json;
}

export interface ExecutionTable {
  id: string;
  ordinal: Revision;
  pipeline: string;
  definition: string;
  body: Json;
}

/** What changes with an execution's events: kept small, for it is written with each. */
export interface ExecutionHeadTable {
  id: string;
  ordinal: Revision;
  status: ExecutionStatus;
  ended_at_ms: number | null;
  sequence: number;
  priority: number;
  group_name: string | null;
  holder: string | null;
  fence: Fence;
}

/** One event, or the state after it. */
interface ExecutionEventTable {
  id: string;
  sequence: number;
  body: Json;
}

interface ExecutionSignalTable {
  ordinal: Revision;
  id: string;
  at_ms: number;
  body: Json;
}

/** What an execution is found by, see `domain/execution-facts.ts`; the failure is known at its end. */
export interface ExecutionFactsTable {
  id: string;
  ordinal: Revision;
  pipeline: string;
  created_at_ms: number;
  created_by: string;
  trigger_kind: string | null;
  commit_sha: string | null;
  after_id: string | null;
  text: string;
  error: string | null;
  cause: string | null;
}

interface ExecutionHolderTable {
  holder: string;
  expires_at_ms: number;
}

interface PipelineSourceTable {
  id: string;
  ordinal: Revision;
  body: Json;
}

export interface TriggerEventTable {
  ordinal: Revision;
  source: string;
  key: string;
  at_ms: number;
  body: Json;
  /** Null: nobody has said yet what came of it. */
  outcome: Json | null;
}

interface TriggerHeadTable {
  source: string;
  ref: string;
  commit_id: string;
}

interface TriggerCursorTable {
  name: string;
  value: number;
}

interface WebhookTable {
  name: string;
  body: Json;
}

interface WebhookDeliveryTable {
  webhook: string;
  id: string;
  body_digest: string | null;
  at_ms: number;
  answer: Json | null;
}

interface CommitStatusTable {
  execution: string;
  webhook: string;
  pipeline: string;
  commit_id: string;
  state: CommitState;
  wanted_at_ms: number;
  attempts: number;
  due_at_ms: number | null;
}

export interface Schema {
  state: StateTable;
  schema_migrations: SchemaMigrationTable;
  events: EventTable;
  audit: AuditTable;
  images: ImageTable;
  image_artifacts: ImageArtifactTable;
  image_checks: ImageCheckTable;
  image_findings: ImageFindingTable;
  waivers: WaiverTable;
  channel_moves: ChannelMoveTable;
  releases: ReleaseTable;
  release_routes: ReleaseRouteTable;
  deployments: DeploymentTable;
  services: ServiceTable;
  server_groups: ServerGroupTable;
  leases: LeaseTable;
  tokens: TokenTable;
  idempotency: IdempotencyTable;
  image_index: ImageIndexTable;
  image_postings: ImagePostingTable;
  version_blocks: VersionBlockTable;
  image_edges: ImageEdgeTable;
  channel_heads: ChannelHeadTable;
  channel_policies: ChannelPolicyTable;
  channel_approvals: ChannelApprovalTable;
  environment_pauses: EnvironmentPauseTable;
  rebakes: RebakeTable;
  image_revocations: ImageRevocationTable;
  janitor: JanitorTable;
  janitor_marks: JanitorMarkTable;
  swept_artifacts: SweptArtifactTable;
  image_copies: ImageCopyTable;
  pipeline_definitions: PipelineDefinitionTable;
  executions: ExecutionTable;
  execution_heads: ExecutionHeadTable;
  execution_facts: ExecutionFactsTable;
  execution_events: ExecutionEventTable;
  execution_snapshots: ExecutionEventTable;
  execution_signals: ExecutionSignalTable;
  execution_holders: ExecutionHolderTable;
  pipeline_sources: PipelineSourceTable;
  trigger_events: TriggerEventTable;
  trigger_heads: TriggerHeadTable;
  trigger_cursors: TriggerCursorTable;
  webhooks: WebhookTable;
  webhook_deliveries: WebhookDeliveryTable;
  commit_statuses: CommitStatusTable;
}
