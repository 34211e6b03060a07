import type { Writer } from '../engine.ts';

/** What became of baking images again on bases that had moved on. */
export async function addRebakes(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('rebakes')
    .addColumn('image_id', 'text', (column) => column.notNull())
    .addColumn('onto', 'text', (column) => column.notNull())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('failed', 'integer', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('rebakes_key', ['image_id', 'onto'])
    .execute();
}
