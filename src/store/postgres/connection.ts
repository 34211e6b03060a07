/** A pool of connections for reads and writes, and one more that listens. */
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Engine, Reader, Watch, WriteOptions, Writer } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { makeAppendOnly } from './append-only.ts';
import { closed } from './closing.ts';
import { kyselyPool, WriteDialect } from './dialect.ts';
import { type Retry, readWithRetry, writeWithRetry } from './transaction.ts';
import { CHANNEL, NotifyWatch } from './watch.ts';

const POOL_SIZE = 8;
const CONNECT_LIMIT_MS = 5_000;
/** Counted by the client, for the case that nothing at all comes back; above the server's own limits. */
const ANSWER_LIMIT_MS = 30_000;
const INT8 = 20;
/** Any number, so long as all Kilns take the same: the advisory lock of migrations. */
const MIGRATION_LOCK = 0x4b696c6e;

export interface PostgresEngineParts {
  readonly clock: Clock;
  readonly random: () => number;
}

export async function openPostgres(url: string, parts: PostgresEngineParts): Promise<Engine> {
  const config: pg.ClientConfig = {
    connectionString: url,
    application_name: 'kiln',
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    query_timeout: ANSWER_LIMIT_MS,
    keepAlive: true,
    // Revisions and times are below 2^53.
    types: { getTypeParser: (oid, format) => (oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) },
  };
  return new PostgresEngine(config, { ...parts, where: addressOf(config) });
}

/** Host and database without user and password, for messages. */
function addressOf(config: pg.ClientConfig): string {
  try {
    const { host, port, database } = new pg.Client(config);
    return `${host}:${port}/${database ?? ''}`;
  } catch {
    // The cause would quote the URL, and with it the password.
    throw new KilnError('input.invalid', 'DATABASE_URL is not a Postgres URL.', {
      next: 'Write it as postgres://user:password@host:5432/database.',
    });
  }
}

class PostgresEngine implements Engine {
  readonly kind = 'postgres';
  readonly #config: pg.ClientConfig;
  readonly #retry: Retry;
  readonly #pool: pg.Pool;
  readonly #reader: Kysely<Schema>;
  readonly #writer: Kysely<Schema>;

  constructor(config: pg.ClientConfig, retry: Retry) {
    this.#config = config;
    this.#retry = retry;
    this.#pool = new pg.Pool({ ...config, max: POOL_SIZE });
    // An idle connection may be cut at any time: the pool drops it, and the next query makes another.
    this.#pool.on('error', () => undefined);
    // One in use reports it through its query, which has a caller; the event only must not end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    const shared = kyselyPool(this.#pool);
    this.#reader = new Kysely({ dialect: new PostgresDialect({ pool: shared }) });
    this.#writer = new Kysely({ dialect: new WriteDialect(shared) });
  }

  read<Result>(work: (db: Reader) => Promise<Result>): Promise<Result> {
    return readWithRetry(this.#reader, work, this.#retry);
  }

  write<Result>(work: (tx: Writer) => Promise<Result>, options: WriteOptions = {}): Promise<Result> {
    const announced = async (tx: Writer) => {
      const result = await work(tx);
      // Delivered at commit, and only then. Renewed leases announce too; listeners look and find nothing new.
      await sql.raw(`notify ${CHANNEL}`).execute(tx);
      return result;
    };
    return writeWithRetry(this.#writer, announced, options.repeatable ?? false, this.#retry);
  }

  migrate(work: (tx: Writer) => Promise<void>): Promise<void> {
    const locked = async (tx: Writer) => {
      await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`.execute(tx);
      await work(tx);
    };
    // Steps already taken are not taken again, so a lost outcome is harmless.
    return writeWithRetry(this.#reader, locked, true, this.#retry);
  }

  async tables(tx: Writer): Promise<readonly string[]> {
    const found = await sql<{
      name: string;
    }>`select tablename as name from pg_tables where schemaname = current_schema()`.execute(tx);
    return found.rows.map((row) => row.name);
  }

  makeAppendOnly(tx: Writer, table: keyof Schema): Promise<void> {
    return makeAppendOnly(tx, table);
  }

  watch(poke: () => void): Watch {
    const connect = (config: pg.ClientConfig) => new pg.Client(config);
    return new NotifyWatch({ connect, config: this.#config, random: this.#retry.random }, poke);
  }

  async close(): Promise<void> {
    await this.#reader.destroy();
    await this.#writer.destroy();
    await closed(this.#pool.end());
  }
}
