import type { Writer } from '../engine.ts';

/** What channels demand, who approved what, and what a move was made upon. */
export async function addChannelPolicies(tx: Writer): Promise<void> {
  await tx.schema.alterTable('channel_moves').addColumn('evidence', 'text').execute();
  await tx.schema
    .createTable('channel_policies')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('channel_policies_key', ['component', 'channel'])
    .execute();
  await tx.schema
    .createTable('channel_approvals')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('image_id', 'text', (column) => column.notNull())
    .addColumn('approved_by', 'text', (column) => column.notNull())
    .addColumn('why', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('channel_approvals_key', ['component', 'channel', 'image_id', 'approved_by'])
    .execute();
}
