import type { Writer } from '../engine.ts';

/** Where images were pushed to, so that the janitor finds them there. */
export async function addImageCopies(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('image_copies')
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addColumn('reference', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('image_copies_key', ['image_id', 'reference'])
    .execute();
}
