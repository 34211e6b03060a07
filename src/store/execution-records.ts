/** Executions as their rows tell of them. */
import type { ExecutionOrigin, ExecutionRecord } from '../domain/ports/executions.ts';
import type { Reader } from './engine.ts';
import { fromJson } from './json.ts';
import type { ExecutionHeadTable, ExecutionTable } from './tables/executions.ts';

/** What is written once, when it is created. */
export type ExecutionBody = Omit<ExecutionOrigin, 'id' | 'pipeline' | 'definition'> &
  Pick<ExecutionRecord, 'createdAtMs' | 'createdBy'>;

export function joined(db: Reader) {
  return db
    .selectFrom('executions')
    .innerJoin('execution_heads', 'execution_heads.id', 'executions.id')
    .selectAll('executions')
    .select([
      'execution_heads.status',
      'execution_heads.ended_at_ms',
      'execution_heads.sequence',
      'execution_heads.holder',
    ]);
}

export async function records(db: Reader, ids: readonly string[]): Promise<readonly ExecutionRecord[]> {
  const rows = await joined(db).where('executions.id', 'in', ids).execute();
  return rows.map((row) => recordOf(row, row));
}

export function recordOf(
  { id, pipeline, definition, body }: ExecutionTable,
  head: Pick<ExecutionHeadTable, 'status' | 'ended_at_ms' | 'sequence' | 'holder'>,
): ExecutionRecord {
  return {
    id,
    pipeline,
    definition,
    ...fromJson<ExecutionBody>(body),
    status: head.status,
    sequence: head.sequence,
    ...(head.ended_at_ms !== null && { endedAtMs: head.ended_at_ms }),
    ...(head.holder !== null && { holder: head.holder }),
  };
}
