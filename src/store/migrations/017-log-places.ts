import type { Writer } from '../engine.ts';

/** Which server has which log of a task. */
export async function addLogPlaces(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('log_places')
    .addColumn('execution', 'text', (column) => column.notNull())
    .addColumn('task', 'text', (column) => column.notNull())
    .addColumn('server', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('started_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('log_places_key', ['execution', 'task', 'server'])
    .execute();
}
