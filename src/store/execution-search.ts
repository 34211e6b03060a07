/** Executions by all that people know of them. */
import { type SqlBool, sql } from 'kysely';
import type { Page, PageRequest } from '../domain/page.ts';
import type { ExecutionSearch, ExecutionSummary } from '../domain/ports/execution-history.ts';
import type { Reader } from './engine.ts';
import { pageBounds, pageByOrdinal } from './page.ts';
import { beginsWith } from './prefix.ts';
import type { ExecutionFactsTable, ExecutionHeadTable } from './tables/executions.ts';

export async function searchExecutions(
  db: Reader,
  search: ExecutionSearch,
  page: PageRequest,
): Promise<Page<ExecutionSummary>> {
  const bounds = pageBounds(page);
  const rows = await found(db, search)
    .where('facts.ordinal', '<', bounds.before)
    .orderBy('facts.ordinal', 'desc')
    .limit(bounds.fetch)
    .execute();
  return pageByOrdinal(rows, bounds, summaryOf);
}

/** In no order, and all of them. */
export function found(db: Reader, search: ExecutionSearch) {
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

export function summaryOf(
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
