/** What starts pipelines, and what the providers of repositories told and are told. */
import type { Revision } from '../../domain/ids.ts';
import type { CommitState } from '../../domain/webhook.ts';
import type { Json } from '../json.ts';

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

interface WebhookSecretTable {
  webhook_id: string;
  key_id: string;
  sealed: string;
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

export interface TriggerTables {
  pipeline_sources: PipelineSourceTable;
  trigger_events: TriggerEventTable;
  trigger_heads: TriggerHeadTable;
  trigger_cursors: TriggerCursorTable;
  webhooks: WebhookTable;
  webhook_secrets: WebhookSecretTable;
  webhook_deliveries: WebhookDeliveryTable;
  commit_statuses: CommitStatusTable;
}
