/**
 * Calls with an Idempotency-Key, so that one asked for twice is done once. Neither kept for ever nor followed by
 * anybody: no events, no audit.
 *
 *   begin ─► held by an attempt ─finish─► answered ─(a day)─► gone
 *                 │    ▲
 *    forget,      │    │ begin: the next attempt, which learns what was made
 *    releaseAll,  ▼    │
 *    no renewal   free ┘
 *
 * - What a call makes is noted under its key in the transaction that makes it (note-made.ts), which fails when the
 *   key has gone to another attempt: a server that was only slow makes nothing beside the one that took over.
 * - A call that failed and made nothing is forgotten; one that made something is not, so that it is never made twice.
 */
import type { IdempotencyStore, KeyedCall, KeyState, SavedAnswer } from '../domain/ports/idempotency.ts';
import type { Database } from './database.ts';
import { beginsWith } from './prefix.ts';

/** Answers are forgotten after a day. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** A key that was not renewed for this long is free: whoever held it has ended, or will find it taken. */
const HELD_MS = 15_000;

type Attempt = Pick<KeyedCall, 'key' | 'actor' | 'attempt'>;

export class Idempotency implements IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  begin(call: KeyedCall, atMs: number): Promise<KeyState> {
    const { key, actor, requestHash, attempt } = call;
    return this.#database.coordinate(async (db) => {
      await db
        .deleteFrom('idempotency')
        .where('at_ms', '<', atMs - KEPT_MS)
        .execute();
      const row = await db
        .selectFrom('idempotency')
        .selectAll()
        .where('actor', '=', actor)
        .where('key', '=', key)
        .executeTakeFirst();
      if (!row) {
        const values = { actor, key, request_hash: requestHash, attempt, at_ms: atMs };
        await db
          .insertInto('idempotency')
          .values({ ...values, made: null, status: null, body: null })
          .execute();
        return { kind: 'begun' };
      }
      if (row.request_hash !== requestHash) return { kind: 'mismatch' };
      if (row.status !== null && row.body !== null) {
        return { kind: 'answered', answer: { status: row.status, body: row.body } };
      }
      const isHeld = row.attempt !== null && row.attempt !== attempt && row.at_ms >= atMs - HELD_MS;
      if (isHeld) return { kind: 'in-progress' };
      await db
        .updateTable('idempotency')
        .set({ attempt, at_ms: atMs })
        .where('actor', '=', actor)
        .where('key', '=', key)
        .execute();
      return row.made === null ? { kind: 'begun' } : { kind: 'begun', made: row.made };
    });
  }

  renew(attempt: Attempt, atMs: number): Promise<void> {
    return this.#ofAttempt(attempt, { at_ms: atMs });
  }

  finish(attempt: Attempt, { status, body }: SavedAnswer, atMs: number): Promise<void> {
    return this.#ofAttempt(attempt, { status, body, at_ms: atMs });
  }

  forget({ key, actor, attempt }: Attempt): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .deleteFrom('idempotency')
        .where('actor', '=', actor)
        .where('key', '=', key)
        .where('attempt', '=', attempt)
        .where('status', 'is', null)
        .where('made', 'is', null)
        .execute();
      await db
        .updateTable('idempotency')
        .set({ attempt: null })
        .where('actor', '=', actor)
        .where('key', '=', key)
        .where('attempt', '=', attempt)
        .execute();
    });
  }

  releaseAll(attempts: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('idempotency')
        .set({ attempt: null })
        .where(beginsWith('attempt', attempts))
        .execute();
    });
  }

  #ofAttempt(
    { key, actor, attempt }: Attempt,
    values: { readonly status?: number; readonly body?: string; readonly at_ms: number },
  ): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('idempotency')
        .set(values)
        .where('actor', '=', actor)
        .where('key', '=', key)
        .where('attempt', '=', attempt)
        .execute();
    });
  }
}
