import type { Writer } from '../engine.ts';

/** Which attempt at a call holds its Idempotency-Key, and what the call has made so far. */
export async function addKeyedCalls(tx: Writer): Promise<void> {
  await tx.schema.alterTable('idempotency').addColumn('attempt', 'text').execute();
  await tx.schema.alterTable('idempotency').addColumn('made', 'text').execute();
}
