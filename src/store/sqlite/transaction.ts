/**
 * Writes of this process wait in a queue of their own, in order; against other processes SQLite's
 * lock decides. The wait for that lock is ours, not SQLite's busy handler, which would stop the
 * whole process while it sleeps.
 */
import type { ControlledTransaction, Kysely } from 'kysely';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Writer } from '../engine.ts';
import { outcomeUnknown } from '../lost-outcome.ts';
import type { Schema } from '../schema.ts';
import { isBusy, isDiskFailure, sqliteFailure } from './failures.ts';

/** Together about ten seconds, in which others may write; then `store.busy`. */
const BEGIN_ATTEMPTS = 800;
const BEGIN_PAUSE_MS = 25;

export interface SqliteWriter {
  readonly db: Kysely<Schema>;
  readonly file: string;
  readonly clock: Clock;
  readonly random: () => number;
}

export class WriteQueue {
  readonly #writer: SqliteWriter;
  #last: Promise<unknown> = Promise.resolve();

  constructor(writer: SqliteWriter) {
    this.#writer = writer;
  }

  write<Result>(work: (tx: Writer) => Promise<Result>, repeatable: boolean): Promise<Result> {
    const turn = this.#last.then(() => transact(this.#writer, work, repeatable));
    // The next one goes on whatever became of this one, whose own caller hears of it.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves once all that was asked for has ended. */
  async idle(): Promise<void> {
    await this.#last;
  }
}

async function transact<Result>(
  writer: SqliteWriter,
  work: (tx: Writer) => Promise<Result>,
  repeatable: boolean,
): Promise<Result> {
  const tx = await begin(writer);
  const result = await work(tx).catch(async (thrown: unknown) => {
    await rollback(tx);
    throw sqliteFailure(thrown, writer.file);
  });
  await tx
    .commit()
    .execute()
    .catch(async (thrown: unknown) => {
      await rollback(tx);
      throw isDiskFailure(thrown) ? outcomeUnknown(thrown, repeatable) : sqliteFailure(thrown, writer.file);
    });
  return result;
}

async function begin(writer: SqliteWriter): Promise<ControlledTransaction<Schema>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await writer.db.startTransaction().execute();
    } catch (thrown) {
      if (!isBusy(thrown) || attempt >= BEGIN_ATTEMPTS) throw sqliteFailure(thrown, writer.file);
      await writer.clock.sleep(writer.random() * BEGIN_PAUSE_MS);
    }
  }
}

async function rollback(tx: ControlledTransaction<Schema>): Promise<void> {
  await tx
    .rollback()
    .execute()
    .catch(() => {
      // The failure that made it necessary is thrown by the caller; SQLite drops what was not
      // committed when the connection is closed or used for the next transaction.
    });
}
