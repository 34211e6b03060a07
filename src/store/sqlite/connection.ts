/**
 * One file, two connections: a writer, whose writes wait for each other, and a reader, which sees
 * the last commit and is never held up by a write (WAL). Each commit is one fsync (synchronous=FULL).
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Engine, Reader, Watch, WriteOptions, Writer } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { makeAppendOnly } from './append-only.ts';
import { NodeSqliteDialect } from './dialect.ts';
import { isBusy, sqliteFailure } from './failures.ts';
import { WriteQueue } from './transaction.ts';
import { watchDataVersion } from './watch.ts';

/** Marks the file as Kiln's, for `file(1)` and for us: "Kiln" in ASCII. */
const APPLICATION_ID = 0x4b696c6e;
/** SQLite's own waiting stops the whole process, so writes wait in transaction.ts instead; reads hardly ever do. */
const WRITER_BUSY_TIMEOUT_MS = 0;
const READER_BUSY_TIMEOUT_MS = 200;
const OPEN_ATTEMPTS = 200;
const OPEN_PAUSE_MS = 50;

export interface SqliteEngineParts {
  readonly clock: Clock;
  readonly random: () => number;
}

export async function openSqlite(file: string, parts: SqliteEngineParts): Promise<Engine> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return connect(file, parts);
    } catch (thrown) {
      if (!isBusy(thrown) || attempt >= OPEN_ATTEMPTS) throw sqliteFailure(thrown, file);
      await parts.clock.sleep(parts.random() * OPEN_PAUSE_MS);
    }
  }
}

function connect(file: string, parts: SqliteEngineParts): Engine {
  makePrivate(file);
  const writer = new DatabaseSync(file, { timeout: WRITER_BUSY_TIMEOUT_MS });
  try {
    claim(writer, file);
    useWriteAheadLog(writer, file);
    writer.exec('pragma synchronous = full; pragma foreign_keys = on');
    const reader = new DatabaseSync(file, { timeout: READER_BUSY_TIMEOUT_MS });
    reader.exec('pragma query_only = on');
    return new SqliteEngine(file, writer, reader, parts);
  } catch (thrown) {
    writer.close();
    throw thrown;
  }
}

/**
 * SQLite gives its WAL and shared-memory files the mode of the database file. A file that exists is
 * never opened here: closing it again would drop the locks that another store of this process holds on it.
 */
function makePrivate(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    if (existsSync(file)) chmodSync(file, 0o600);
    else closeSync(openSync(file, 'ax', 0o600));
  } catch (cause) {
    const failure = asKilnError(cause);
    // Made by another process in between.
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST' && existsSync(file)) return;
    if (failure.code !== 'internal') throw failure;
    throw new KilnError('input.invalid', `The database file cannot be made: ${failure.message}.`, {
      cause,
      next: 'Check the owner and the mode of its directory, or choose another state directory.',
      details: { file },
    });
  }
}

function useWriteAheadLog(connection: DatabaseSync, file: string): void {
  const mode = connection.prepare('pragma journal_mode = wal').get()?.journal_mode;
  if (mode === 'wal') return;
  throw new KilnError('input.invalid', `The file system of ${file} cannot keep a write-ahead log.`, {
    next: 'Keep the state directory on a local disk, not on a network file system.',
    details: { file },
  });
}

/** Refuses a database of another program before anything is written to it. */
function claim(connection: DatabaseSync, file: string): void {
  const id = connection.prepare('pragma application_id').get()?.application_id;
  if (id === APPLICATION_ID) return;
  const tables = connection.prepare('select count(*) as count from sqlite_master').get()?.count;
  if (id !== 0 || tables !== 0) {
    throw new KilnError('input.invalid', `${file} is a database of another program.`, {
      next: 'Give Kiln a state directory of its own.',
      details: { file },
    });
  }
  connection.exec(`pragma application_id = ${APPLICATION_ID}`);
}

class SqliteEngine implements Engine {
  readonly kind = 'sqlite';
  readonly #file: string;
  readonly #connections: { readonly writer: DatabaseSync; readonly reader: DatabaseSync };
  readonly #reader: Kysely<Schema>;
  readonly #writer: Kysely<Schema>;
  readonly #writes: WriteQueue;

  constructor(file: string, writer: DatabaseSync, reader: DatabaseSync, parts: SqliteEngineParts) {
    this.#file = file;
    this.#connections = { writer, reader };
    this.#reader = new Kysely({ dialect: new NodeSqliteDialect(reader) });
    this.#writer = new Kysely({ dialect: new NodeSqliteDialect(writer) });
    this.#writes = new WriteQueue({ db: this.#writer, file, ...parts });
  }

  async read<Result>(work: (db: Reader) => Promise<Result>): Promise<Result> {
    try {
      return await work(this.#reader);
    } catch (thrown) {
      throw sqliteFailure(thrown, this.#file);
    }
  }

  write<Result>(work: (tx: Writer) => Promise<Result>, options: WriteOptions = {}): Promise<Result> {
    return this.#writes.write(work, options.repeatable ?? false);
  }

  migrate(work: (tx: Writer) => Promise<void>): Promise<void> {
    return this.#writes.write(work, false);
  }

  async tables(tx: Writer): Promise<readonly string[]> {
    const found = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(
      tx,
    );
    return found.rows.map((row) => row.name);
  }

  makeAppendOnly(tx: Writer, table: keyof Schema): Promise<void> {
    return makeAppendOnly(tx, table);
  }

  watch(poke: () => void): Watch {
    return watchDataVersion(this.#connections.reader, poke);
  }

  async close(): Promise<void> {
    await this.#writes.idle();
    await this.#reader.destroy();
    await this.#writer.destroy();
    // Kysely closes only what it has used.
    for (const connection of Object.values(this.#connections)) {
      if (connection.isOpen) connection.close();
    }
  }
}
