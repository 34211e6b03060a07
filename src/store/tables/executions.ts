/** Pipelines, and what came of each start of one. */
import type { Fence, Revision } from '../../domain/ids.ts';
import type { ExecutionStatus } from '../../domain/ports/executions.ts';
import type { Json } from '../json.ts';

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
  home: string | null;
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

interface LogPlaceTable {
  execution: string;
  task: string;
  server: string;
  state: string;
  started_at_ms: number;
}

export interface ExecutionTables {
  pipeline_definitions: PipelineDefinitionTable;
  executions: ExecutionTable;
  execution_heads: ExecutionHeadTable;
  execution_facts: ExecutionFactsTable;
  execution_events: ExecutionEventTable;
  execution_snapshots: ExecutionEventTable;
  execution_signals: ExecutionSignalTable;
  execution_holders: ExecutionHolderTable;
  log_places: LogPlaceTable;
}
