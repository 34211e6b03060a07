import type { Writer } from '../engine.ts';

/** Revocation and retention: what is marked unfit, what is announced to go, what has gone. */
export async function addImageLifecycle(tx: Writer): Promise<void> {
  await tx.schema.alterTable('images').addColumn('swept_at_ms', 'bigint').execute();
  await tx.schema
    .createTable('channel_heads')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('image_id', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('channel_heads_key', ['component', 'channel'])
    .execute();
  await tx.schema.createIndex('channel_heads_image').on('channel_heads').columns(['image_id']).execute();
  await tx.schema.createIndex('releases_image').on('releases').columns(['image_id']).execute();
  await tx.schema
    .createTable('image_revocations')
    .addColumn('image_id', 'text', (column) => column.primaryKey().references('images.id'))
    .addColumn('ordinal', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('janitor')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('enabled', 'integer', (column) => column.notNull())
    .addColumn('uses_seen_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('last_run_at_ms', 'bigint')
    .addColumn('last_references', 'integer', (column) => column.notNull())
    .execute();
  await tx
    .insertInto('janitor')
    .values({ id: 1, enabled: 0, uses_seen_at_ms: 0, last_run_at_ms: null, last_references: 0 })
    .execute();
  await tx.schema
    .createTable('janitor_marks')
    .addColumn('number', 'bigint', (column) => column.primaryKey())
    .addColumn('marked_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('sweep_after_ms', 'bigint', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('swept_artifacts')
    .addColumn('image_id', 'text', (column) => column.notNull())
    .addColumn('position', 'integer', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('swept_artifacts_key', ['image_id', 'position'])
    .execute();
  await fillHeads(tx);
}

async function fillHeads(tx: Writer): Promise<void> {
  const newest = tx
    .selectFrom('channel_moves')
    .select(({ fn }) => fn.max('ordinal').as('ordinal'))
    .groupBy(['component', 'channel']);
  const moves = await tx
    .selectFrom('channel_moves')
    .select(['component', 'channel', 'image_id'])
    .where('ordinal', 'in', newest)
    .execute();
  for (const move of moves) await tx.insertInto('channel_heads').values(move).execute();
}
