/** Fits `node:sqlite` to Kysely's SQLite dialect. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';

/** Statements kept prepared; Kiln has about a hundred, and lists of ids vary in length. */
const PREPARED_LIMIT = 256;
/** A longer one has a list in it: it is hardly asked twice alike, and a hundred such would hold tens of megabytes. */
const LONGEST_KEPT = 4_000;

/** The part of better-sqlite3 that Kysely calls. */
class NodeSqliteDatabase implements SqliteDatabase {
  readonly #connection: DatabaseSync;
  /** In order of last use. */
  readonly #prepared = new Map<string, SqliteStatement>();

  constructor(connection: DatabaseSync) {
    this.#connection = connection;
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#prepared.get(sql) ?? asKyselyStatement(this.#connection.prepare(sql));
    if (sql.length > LONGEST_KEPT) return statement;
    this.#prepared.delete(sql);
    this.#prepared.set(sql, statement);
    if (this.#prepared.size > PREPARED_LIMIT) {
      const [oldest] = this.#prepared.keys();
      if (oldest !== undefined) this.#prepared.delete(oldest);
    }
    return statement;
  }

  close(): void {
    this.#prepared.clear();
    this.#connection.close();
  }
}

function asKyselyStatement(statement: StatementSync): SqliteStatement {
  return {
    // Also true of INSERT … RETURNING, as Kysely wants.
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...parameters.map(asBindable)),
    run: (parameters) => statement.run(...parameters.map(asBindable)),
    iterate: (parameters) => statement.iterate(...parameters.map(asBindable)),
  };
}

function asBindable(value: unknown): SQLInputValue {
  if (value === null) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value;
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`A ${typeof value} cannot be stored in SQLite.`);
}

/**
 * A transaction takes the write lock at its beginning, so it never finds later that what it read
 * has changed. One that SQLite has already rolled back (a full disk does that) is not rolled back twice.
 */
class ImmediateDriver extends SqliteDriver {
  readonly #connection: DatabaseSync;

  constructor(connection: DatabaseSync) {
    super({ database: new NodeSqliteDatabase(connection) });
    this.#connection = connection;
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#connection.isTransaction) await connection.executeQuery(CompiledQuery.raw('rollback'));
  }
}

export class NodeSqliteDialect extends SqliteDialect {
  readonly #connection: DatabaseSync;

  constructor(connection: DatabaseSync) {
    super({ database: new NodeSqliteDatabase(connection) });
    this.#connection = connection;
  }

  override createDriver(): Driver {
    return new ImmediateDriver(this.#connection);
  }
}
