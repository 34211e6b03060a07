/**
 * What the store needs of a database engine. Each engine is a folder with the same file names:
 * `connection.ts` opens it, `dialect.ts` fits it to Kysely, `transaction.ts` carries writes,
 * `watch.ts` notices what others commit, `failures.ts` names what goes wrong.
 *
 * What both must keep:
 * - At most one write transaction at a time, over all processes; it sees all that was committed
 *   before it began. So revision order is commit order, and a write may read, then decide.
 * - A write is on disk when its promise resolves.
 * - A rejected write has changed nothing, except with code `store.lost` and `retryable: false`:
 *   then its outcome is unknown, and it is never tried again unasked.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Schema } from './schema.ts';

export type Reader = Kysely<Schema>;
export type Writer = Transaction<Schema>;

export interface WriteOptions {
  /** True when doing it twice is doing it once: a lost outcome is then marked `retryable` for the caller. */
  readonly repeatable?: boolean;
}

export interface Engine {
  readonly kind: 'sqlite' | 'postgres';
  /** Sees every acknowledged write. `work` may run more than once. */
  read<Result>(work: (db: Reader) => Promise<Result>): Promise<Result>;
  /** `work` may run more than once, so it must do nothing but use its transaction. */
  write<Result>(work: (tx: Writer) => Promise<Result>, options?: WriteOptions): Promise<Result>;
  /** A write before there is a schema; one at a time over all processes. */
  migrate(work: (tx: Writer) => Promise<void>): Promise<void>;
  /** Names of the tables where Kiln's tables are, or would be. */
  tables(tx: Writer): Promise<readonly string[]>;
  /** Makes the database itself refuse to change or delete rows of the table. */
  makeAppendOnly(tx: Writer, table: keyof Schema): Promise<void>;
  /** Calls `poke` when another process may have committed; too often is harmless, never is not. */
  watch(poke: () => void): Watch;
  close(): Promise<void>;
}

export interface Watch {
  close(): Promise<void>;
}
