import { sql } from 'kysely';
import type { Writer } from '../engine.ts';

/** Executions of pipelines: origins, heads (what changes with each event), events, snapshots, signals, holders. */
export async function addExecutions(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('pipeline_definitions')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('executions')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('pipeline', 'text', (column) => column.notNull())
    .addColumn('definition', 'text', (column) => column.notNull().references('pipeline_definitions.name'))
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createIndex('executions_newest')
    .on('executions')
    .columns(['pipeline', 'ordinal'])
    .execute();
  await tx.schema
    .createTable('execution_heads')
    .addColumn('id', 'text', (column) => column.primaryKey().references('executions.id'))
    .addColumn('ordinal', 'bigint', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('priority', 'integer', (column) => column.notNull())
    .addColumn('group_name', 'text')
    .addColumn('holder', 'text')
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .execute();
  // Most executions have ended; those that have not are few, and looked for often.
  await sql`create index execution_heads_open on execution_heads (ordinal) where ended_at_ms is null`.execute(
    tx,
  );
  await sql`create index execution_heads_group on execution_heads (group_name, ordinal) where ended_at_ms is null`.execute(
    tx,
  );
  await tx.schema
    .createTable('execution_events')
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('execution_events_key', ['id', 'sequence'])
    .execute();
  await tx.schema
    .createTable('execution_snapshots')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('execution_signals')
    .addColumn('ordinal', 'bigint', (column) => column.primaryKey())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createIndex('execution_signals_of')
    .on('execution_signals')
    .columns(['id', 'ordinal'])
    .execute();
  await tx.schema
    .createTable('execution_holders')
    .addColumn('holder', 'text', (column) => column.primaryKey())
    .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
    .execute();
}
