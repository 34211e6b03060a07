import type { Writer } from '../engine.ts';

/** The servers that work on the store. */
export async function addServers(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('servers')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('seen_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('stopped_at_ms', 'bigint')
    .execute();
}
