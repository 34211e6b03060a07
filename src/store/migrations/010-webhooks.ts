import { sql } from 'kysely';
import type { Writer } from '../engine.ts';

/** Webhooks, which of their deliveries came in, and what commits are still to be told. */
export async function addWebhooks(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('webhooks')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('webhook_deliveries')
    .addColumn('webhook', 'text', (column) => column.notNull())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('body_digest', 'text')
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('answer', 'text')
    .addPrimaryKeyConstraint('webhook_deliveries_key', ['webhook', 'id'])
    .addUniqueConstraint('webhook_deliveries_body', ['webhook', 'body_digest'])
    .execute();
  await sql`create index webhook_deliveries_age on webhook_deliveries (webhook, at_ms)`.execute(tx);
  await tx.schema
    .createTable('commit_statuses')
    .addColumn('execution', 'text', (column) => column.primaryKey())
    .addColumn('webhook', 'text', (column) => column.notNull())
    .addColumn('pipeline', 'text', (column) => column.notNull())
    .addColumn('commit_id', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('wanted_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('due_at_ms', 'bigint')
    .execute();
  await sql`create index commit_statuses_due on commit_statuses (due_at_ms) where due_at_ms is not null`.execute(
    tx,
  );
}
