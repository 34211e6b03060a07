import { sql } from 'kysely';
import type { Writer } from '../engine.ts';
import type { Schema } from '../schema.ts';

export async function makeAppendOnly(tx: Writer, table: keyof Schema): Promise<void> {
  for (const act of ['update', 'delete']) {
    const trigger = sql.raw(
      `create trigger ${table}_no_${act} before ${act} on ${table} begin select raise(abort, '${table} is append-only'); end`,
    );
    await sql`${trigger}`.execute(tx);
  }
}
