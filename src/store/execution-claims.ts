/** Which executions a holder may have. */
import { type SqlBool, sql } from 'kysely';
import type { Reader } from './engine.ts';

/**
 * Open ones that no living holder has, nor this one (it may be late to say that it lives), and that nobody else has at
 * home; the first of each group.
 */
export async function claimable(
  db: Reader,
  holder: string,
  limit: number,
  nowMs: number,
): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('execution_heads as head')
    .select('head.id')
    .where('head.ended_at_ms', 'is', null)
    .where(({ or, eb, selectFrom }) =>
      or([
        eb('head.holder', 'is', null),
        eb.and([
          eb('head.holder', '!=', holder),
          eb(
            'head.holder',
            'not in',
            selectFrom('execution_holders').select('holder').where('expires_at_ms', '>', nowMs),
          ),
        ]),
      ]),
    )
    .where(({ or, eb, not, exists, selectFrom }) =>
      or([
        eb('head.home', 'is', null),
        sql<SqlBool>`substr(${holder}, 1, length(head.home)) = head.home`,
        not(
          exists(
            selectFrom('execution_holders as near')
              .select('near.holder')
              .where('near.expires_at_ms', '>', nowMs)
              .where(sql<SqlBool>`substr(near.holder, 1, length(head.home)) = head.home`),
          ),
        ),
      ]),
    )
    .where(({ or, eb, not, exists, selectFrom }) =>
      or([
        eb('head.group_name', 'is', null),
        not(
          exists(
            selectFrom('execution_heads as first')
              .select('first.id')
              .whereRef('first.group_name', '=', 'head.group_name')
              .whereRef('first.ordinal', '<', 'head.ordinal')
              .where('first.ended_at_ms', 'is', null),
          ),
        ),
      ]),
    )
    .orderBy('head.priority', 'desc')
    .orderBy('head.ordinal')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}
