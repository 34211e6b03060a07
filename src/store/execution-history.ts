/** What executions are found by, and which of them are kept. */
import { type SqlBool, sql } from 'kysely';
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
import type { Database } from './database.ts';
import type { Reader, Writer } from './engine.ts';
import { pageBounds, pageByOrdinal } from './page.ts';
import { beginsWith } from './prefix.ts';
import type { ExecutionFactsTable, ExecutionHeadTable } from './schema.ts';

const CAUSE_LENGTH = 2_000;

export class ExecutionHistory implements ExecutionHistoryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  search(search: ExecutionSearch, page: PageRequest): Promise<Page<ExecutionSummary>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      const rows = await found(db, search)
        .where('facts.ordinal', '<', bounds.before)
        .orderBy('facts.ordinal', 'desc')
        .limit(bounds.fetch)
        .execute();
      return pageByOrdinal(rows, bounds, summaryOf);
    });
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

function found(db: Reader, search: ExecutionSearch) {
  const { pipeline, open, statuses, trigger, commit, actor, text, fromMs, beforeMs } = search;
  let query = db
    .selectFrom('execution_facts as facts')
    .innerJoin('execution_heads as head', 'head.id', 'facts.id')
    .selectAll('facts')
    .select(['head.status', 'head.ended_at_ms', 'head.sequence', 'head.group_name']);
  if (pipeline !== undefined) query = query.where('facts.pipeline', '=', pipeline);
  if (open !== undefined) query = query.where('head.ended_at_ms', open ? 'is' : 'is not', null);
  if (statuses !== undefined) query = query.where('head.status', 'in', [...statuses]);
  if (trigger !== undefined) query = query.where('facts.trigger_kind', '=', trigger);
  if (commit !== undefined) query = query.where(beginsWith('facts.commit_sha', commit));
  if (actor !== undefined) query = query.where('facts.created_by', '=', actor);
  if (fromMs !== undefined) query = query.where('facts.created_at_ms', '>=', fromMs);
  if (beforeMs !== undefined) query = query.where('facts.created_at_ms', '<', beforeMs);
  if (text === undefined) return query;
  const wanted = `%${text.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
  const like = (column: string) =>
    sql<SqlBool>`lower(coalesce(${sql.ref(column)}, '')) like ${wanted} escape '\\'`;
  return query.where(({ or }) => or([like('facts.text'), like('facts.error'), like('facts.cause')]));
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

function summaryOf(
  row: ExecutionFactsTable & Pick<ExecutionHeadTable, 'status' | 'ended_at_ms' | 'sequence' | 'group_name'>,
): ExecutionSummary {
  const { id, pipeline, status, sequence } = row;
  return {
    id,
    pipeline,
    status,
    sequence,
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
    ...(row.ended_at_ms !== null && { endedAtMs: row.ended_at_ms }),
    ...(row.group_name !== null && { group: row.group_name }),
    ...(row.after_id !== null && { after: row.after_id }),
    ...(row.trigger_kind !== null && { trigger: row.trigger_kind }),
    ...(row.commit_sha !== null && { commit: row.commit_sha }),
    ...(row.error !== null && { error: row.error }),
    ...(row.cause !== null && { cause: row.cause }),
  };
}
