import type { Writer } from '../engine.ts';

/** Environments that pipelines do not deploy to for now. */
export async function addEnvironmentPauses(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('environment_pauses')
    .addColumn('environment', 'text', (column) => column.primaryKey())
    .addColumn('paused_by', 'text', (column) => column.notNull())
    .addColumn('why', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .execute();
}
