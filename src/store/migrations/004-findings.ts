import type { Writer } from '../engine.ts';

/** What is known against images, and what was waived. */
export async function addFindings(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('image_findings')
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('image_findings_key', ['image_id', 'source'])
    .execute();
  await tx.schema
    .createTable('waivers')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
}
