/** What executions are found by, and which of them are kept. */
import type { Change } from '../domain/change.ts';
import { executionFacts } from '../domain/execution-facts.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type {
  ExecutionHistoryStore,
  ExecutionRetention,
  ExecutionSearch,
  ExecutionSummary,
} from '../domain/ports/execution-history.ts';
import type { ExecutionAppend, ExecutionRecord } from '../domain/ports/executions.ts';
import type { LongReads } from './catalogue/long-reads.ts';
import type { Database } from './database.ts';
import type { Reader, Writer } from './engine.ts';
import { found, searchExecutions, summaryOf } from './execution-search.ts';
import type { ExecutionFactsTable } from './tables/executions.ts';

const CAUSE_LENGTH = 2_000;

export class ExecutionHistory implements ExecutionHistoryStore {
  readonly #database: Database;
  readonly #reads: LongReads;

  constructor(database: Database, reads: LongReads) {
    this.#database = database;
    this.#reads = reads;
  }

  search(search: ExecutionSearch, page: PageRequest): Promise<Page<ExecutionSummary>> {
    const { pipeline: _, open: __, ...others } = search;
    // What no index knows is looked for in every row: not where other reads wait for it.
    if (Object.values(others).some((value) => value !== undefined))
      return this.#reads.run({ kind: 'executions', search, page });
    return this.#database.read((db) => searchExecutions(db, search, page));
  }

  newest(perPipeline: number, pipeline?: string): Promise<readonly ExecutionSummary[]> {
    return this.#database.read(async (db) => {
      const names = pipeline === undefined ? await pipelineNames(db) : [pipeline];
      const all: ExecutionSummary[] = [];
      for (const name of names) {
        const rows = await found(db, { pipeline: name })
          .orderBy('facts.ordinal', 'desc')
          .limit(perPipeline)
          .execute();
        for (const row of rows) all.push(summaryOf(row));
      }
      return all;
    });
  }

  pipelines(): Promise<readonly string[]> {
    return this.#database.read(pipelineNames);
  }

  sweep(retention: ExecutionRetention, limit: number, change: Change): Promise<readonly string[]> {
    return this.#database.change(change, async (tx) => {
      const ids = await notKept(tx.db, retention, limit);
      if (ids.length === 0) return [];
      for (const table of ['execution_events', 'execution_snapshots', 'execution_signals'] as const)
        await tx.db.deleteFrom(table).where('id', 'in', ids).execute();
      await tx.db.deleteFrom('log_places').where('execution', 'in', ids).execute();
      await tx.db.deleteFrom('execution_heads').where('id', 'in', ids).execute();
      await tx.db.deleteFrom('execution_facts').where('id', 'in', ids).execute();
      await tx.db.deleteFrom('executions').where('id', 'in', ids).execute();
      tx.event('execution.swept', retention.pipeline, { count: ids.length });
      return ids;
    });
  }
}

/** With the row of a new execution. */
export function factsRow(record: ExecutionRecord, ordinal: number): ExecutionFactsTable {
  const { id, pipeline, createdAtMs, createdBy, input, after = null } = record;
  const { trigger = null, commit = null, text } = executionFacts([id, pipeline, createdBy], input);
  return {
    id,
    ordinal,
    pipeline,
    created_at_ms: createdAtMs,
    created_by: createdBy,
    trigger_kind: trigger,
    commit_sha: commit,
    after_id: after,
    text,
    error: null,
    cause: null,
  };
}

/** With the events that end an execution. */
export async function noteFailure(db: Writer, { id, failure }: ExecutionAppend): Promise<void> {
  const { error, cause } = failure ?? {};
  if (error === undefined && cause === undefined) return;
  await db
    .updateTable('execution_facts')
    .set({ error: error ?? null, cause: cause?.slice(0, CAUSE_LENGTH) ?? null })
    .where('id', '=', id)
    .execute();
}

async function pipelineNames(db: Reader): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('execution_facts')
    .select('pipeline')
    .distinct()
    .orderBy('pipeline')
    .execute();
  return rows.map(({ pipeline }) => pipeline);
}

async function notKept(
  db: Reader,
  { pipeline, count, endedFromMs, sparedFromMs }: ExecutionRetention,
  limit: number,
): Promise<readonly string[]> {
  const ended = () => found(db, { pipeline, open: false }).orderBy('facts.ordinal', 'desc');
  const firstKept = await ended()
    .offset(Math.max(0, count - 1))
    .limit(1)
    .executeTakeFirst();
  const newest = await ended().limit(1).executeTakeFirst();
  const succeeded = await ended().where('head.status', '=', 'SUCCEEDED').limit(1).executeTakeFirst();
  const spared = [newest, succeeded].flatMap((row) => (row === undefined ? [] : [row.id]));
  const rows = await found(db, { pipeline, open: false })
    .where('head.ended_at_ms', '<', sparedFromMs)
    .where(({ or, eb }) =>
      or([eb('head.ended_at_ms', '<', endedFromMs), eb('facts.ordinal', '<', firstKept?.ordinal ?? 0)]),
    )
    .where('facts.id', 'not in', ['', ...spared])
    .orderBy('facts.ordinal')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}
