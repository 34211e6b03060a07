import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** True where the column's text begins so; not LIKE, to which some characters mean more than themselves. */
export function beginsWith(column: string, prefix: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`substr(${sql.ref(column)}, 1, ${sql.lit(prefix.length)}) = ${prefix}`;
}
