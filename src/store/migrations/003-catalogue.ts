import { sql } from 'kysely';
import { indexImage } from '../catalogue/index-image.ts';
import type { NewImage } from '../catalogue/terms.ts';
import type { Engine, Writer } from '../engine.ts';
import { fromJson } from '../json.ts';

const BATCH = 500;

/** The index of the catalogue, over the images that there are. */
export async function addCatalogue(tx: Writer, engine: Engine): Promise<void> {
  const bytes = engine.kind === 'postgres' ? sql`bytea` : sql`blob`;
  /** Compared by code units on both engines. */
  const ordered = engine.kind === 'postgres' ? sql`text collate "C"` : sql`text`;
  await tx.schema
    .createTable('image_index')
    .addColumn('number', 'bigint', (column) => column.primaryKey())
    .addColumn('image_id', 'text', (column) => column.notNull().unique())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('place', ordered, (column) => column.notNull())
    .addColumn('parent', 'bigint')
    .addColumn('base', 'text')
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('used_at_ms', 'bigint')
    .addColumn('pinned', 'integer', (column) => column.notNull())
    .execute();
  await tx.schema.createIndex('image_index_parent').on('image_index').columns(['parent', 'base']).execute();
  await tx.schema
    .createTable('image_postings')
    .addColumn('term', ordered, (column) => column.notNull())
    .addColumn('chunk', 'integer', (column) => column.notNull())
    .addColumn('bits', bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('image_postings_key', ['term', 'chunk'])
    .execute();
  await tx.schema
    .createTable('version_blocks')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('first_place', ordered, (column) => column.notNull())
    .addColumn('numbers', bytes, (column) => column.notNull())
    .addPrimaryKeyConstraint('version_blocks_key', ['component', 'first_place'])
    .execute();
  await tx.schema
    .createTable('image_edges')
    .addColumn('parent', 'bigint', (column) => column.notNull())
    .addColumn('base', 'text', (column) => column.notNull())
    .addColumn('outdated', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('image_edges_key', ['parent', 'base'])
    .execute();
  await tx.schema.createIndex('image_edges_base').on('image_edges').columns(['base']).execute();
  await indexWhatIsThere(tx);
}

async function indexWhatIsThere(tx: Writer): Promise<void> {
  for (let after = 0; ; ) {
    const rows = await tx
      .selectFrom('images')
      .select(['ordinal', 'body'])
      .where('ordinal', '>', after)
      .orderBy('ordinal')
      .limit(BATCH)
      .execute();
    for (const row of rows) {
      await indexImage(tx, fromJson<NewImage>(row.body));
      after = row.ordinal;
    }
    if (rows.length < BATCH) return;
  }
}
