/**
 * Answers kept by key, so that a write asked for twice is done once. Neither kept for ever nor
 * followed by anybody: no events, no audit.
 */
import type { IdempotencyStore, SavedAnswer } from '../domain/ports/store.ts';
import type { Database } from './database.ts';
import type { Writer } from './engine.ts';

/** Saved answers are forgotten after a day. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** A request without an answer for this long was lost with its server; its key may begin anew. */
const ABANDONED_MS = 10 * 60 * 1000;

export class Idempotency implements IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  begin(
    key: string,
    actor: string,
    requestHash: string,
    atMs: number,
  ): Promise<'begun' | 'in-progress' | SavedAnswer> {
    return this.#database.coordinate(async (db) => {
      await forgetOld(db, atMs);
      const row = await db
        .selectFrom('idempotency')
        .selectAll()
        .where('actor', '=', actor)
        .where('key', '=', key)
        .executeTakeFirst();
      if (!row) {
        await db
          .insertInto('idempotency')
          .values({ actor, key, request_hash: requestHash, status: null, body: null, at_ms: atMs })
          .execute();
        return 'begun';
      }
      if (row.status === null || row.body === null) return 'in-progress';
      return { requestHash: row.request_hash, status: row.status, body: row.body };
    });
  }

  finish(key: string, actor: string, answer: SavedAnswer, atMs: number): Promise<void> {
    const { requestHash, status, body } = answer;
    const values = { request_hash: requestHash, status, body, at_ms: atMs };
    return this.#database.coordinate(async (db) => {
      await db
        .insertInto('idempotency')
        .values({ actor, key, ...values })
        .onConflict((conflict) => conflict.columns(['actor', 'key']).doUpdateSet(values))
        .execute();
    });
  }

  forget(key: string, actor: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .deleteFrom('idempotency')
        .where('actor', '=', actor)
        .where('key', '=', key)
        .where('status', 'is', null)
        .execute();
    });
  }
}

async function forgetOld(db: Writer, nowMs: number): Promise<void> {
  await db
    .deleteFrom('idempotency')
    .where((where) =>
      where.or([
        where('at_ms', '<', nowMs - KEPT_MS),
        where.and([where('status', 'is', null), where('at_ms', '<', nowMs - ABANDONED_MS)]),
      ]),
    )
    .execute();
}
