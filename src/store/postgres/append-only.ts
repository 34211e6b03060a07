import { sql } from 'kysely';
import type { Writer } from '../engine.ts';
import type { Schema } from '../schema.ts';

export async function makeAppendOnly(tx: Writer, table: keyof Schema): Promise<void> {
  const statements = [
    `create function ${table}_append_only() returns trigger language plpgsql as
       $$ begin raise exception '${table} is append-only'; end $$`,
    `create trigger ${table}_no_change before update or delete on ${table}
       for each row execute function ${table}_append_only()`,
    `create trigger ${table}_no_truncate before truncate on ${table}
       for each statement execute function ${table}_append_only()`,
  ];
  for (const statement of statements) await sql.raw(statement).execute(tx);
}
