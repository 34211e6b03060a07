import type { Writer } from '../engine.ts';

/** What providers sign with, sealed; of webhooks that were added before, until the server that has it brings it. */
export async function addWebhookSecrets(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('webhook_secrets')
    .addColumn('webhook_id', 'text', (column) => column.primaryKey())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('sealed', 'text', (column) => column.notNull())
    .execute();
}
