import { sql } from 'kysely';
import type { Writer } from '../engine.ts';

/** Sources of pipelines, the events that start them, where the refs of their repositories stand. */
export async function addTriggers(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('pipeline_sources')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('trigger_events')
    .addColumn('ordinal', 'bigint', (column) => column.primaryKey())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text')
    .addUniqueConstraint('trigger_events_key', ['source', 'key'])
    .execute();
  // Nearly all are settled; those that are not are few, and looked for often.
  await sql`create index trigger_events_waiting on trigger_events (ordinal) where outcome is null`.execute(
    tx,
  );
  await tx.schema
    .createTable('trigger_heads')
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('ref', 'text', (column) => column.notNull())
    .addColumn('commit_id', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('trigger_heads_key', ['source', 'ref'])
    .execute();
  await tx.schema
    .createTable('trigger_cursors')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'bigint', (column) => column.notNull())
    .execute();
}
