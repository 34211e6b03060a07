import type { Writer } from '../engine.ts';

/** Executions whose source is a folder of one machine: the beginning of the name of whoever holds it there. */
export async function addExecutionHomes(tx: Writer): Promise<void> {
  await tx.schema.alterTable('execution_heads').addColumn('home', 'text').execute();
}
