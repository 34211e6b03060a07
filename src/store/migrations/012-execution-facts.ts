import { executionFacts } from '../../domain/execution-facts.ts';
import type { Writer } from '../engine.ts';
import { fromJson } from '../json.ts';

const BATCH = 500;

/** What executions are found by, beside their rows: a list reads no input. */
export async function addExecutionFacts(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('execution_facts')
    .addColumn('id', 'text', (column) => column.primaryKey().references('executions.id'))
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('pipeline', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('trigger_kind', 'text')
    .addColumn('commit_sha', 'text')
    .addColumn('after_id', 'text')
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('error', 'text')
    .addColumn('cause', 'text')
    .execute();
  await tx.schema
    .createIndex('execution_facts_newest')
    .on('execution_facts')
    .columns(['pipeline', 'ordinal'])
    .execute();
  for (let after = 0; ; ) {
    const rows = await tx
      .selectFrom('executions')
      .selectAll()
      .where('ordinal', '>', after)
      .orderBy('ordinal')
      .limit(BATCH)
      .execute();
    if (rows.length === 0) return;
    for (const { id, ordinal, pipeline, body } of rows) {
      const { input, createdAtMs, createdBy, after: afterId } = fromJson<Body>(body);
      const { trigger = null, commit = null, text } = executionFacts([id, pipeline, createdBy], input);
      const values = { id, ordinal, pipeline, created_at_ms: createdAtMs, created_by: createdBy, text };
      const found = { trigger_kind: trigger, commit_sha: commit, after_id: afterId ?? null };
      await tx
        .insertInto('execution_facts')
        .values({ ...values, ...found, error: null, cause: null })
        .execute();
      after = ordinal;
    }
  }
}

interface Body {
  readonly input: unknown;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly after?: string;
}
