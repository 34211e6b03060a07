/** Fits `pg` to Kysely's Postgres dialect, with Kiln's way of beginning a write. */
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  type PostgresPoolClient,
  type PostgresQueryResult,
} from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { isConnectionLoss } from './failures.ts';

/** Limits of one write; well above what one takes, so that a stuck one cannot hold the others for long. */
const LOCK_WAIT = '10s';
const STATEMENT_LIMIT = '15s';
const IDLE_LIMIT = '15s';

/**
 * One round trip that begins a write and locks the state row, which is the lock of all writers:
 * whoever holds it sees all that was committed before, and its revision is the next. READ COMMITTED
 * is enough, for nobody else writes meanwhile and each statement sees the newest.
 */
const BEGIN_WRITE = [
  'begin isolation level read committed read write',
  `set local lock_timeout = '${LOCK_WAIT}'`,
  `set local statement_timeout = '${STATEMENT_LIMIT}'`,
  `set local idle_in_transaction_session_timeout = '${IDLE_LIMIT}'`,
  // Durable when acknowledged, even where the cluster's default is not.
  "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'",
  'select revision from state where id = 1 for update',
].join('; ');

/** The part of `pg` that Kysely calls; a client that lost its connection does not go back to the pool. */
export function kyselyPool(pool: Pool): PostgresPool {
  return {
    connect: async () => watchedClient(await pool.connect()),
    // The pool has two users, the reader and the writer; the engine ends it.
    end: async () => undefined,
  };
}

function watchedClient(client: PoolClient): PostgresPoolClient {
  let broken = false;
  async function query<Row>(text: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<Row>> {
    try {
      const { command, rowCount, rows } = await client.query(text, [...parameters]);
      if (text === 'commit' && command !== 'COMMIT') throw new Error(`COMMIT was answered with ${command}.`);
      return { command: asCommand(command), rowCount: rowCount ?? 0, rows };
    } catch (thrown) {
      broken ||= isConnectionLoss(thrown);
      throw thrown;
    }
  }
  return { query: query as PostgresPoolClient['query'], release: () => client.release(broken) };
}

type Command = PostgresQueryResult<unknown>['command'];
const COMMANDS: readonly Command[] = ['UPDATE', 'DELETE', 'INSERT', 'SELECT', 'MERGE'];

/** Kysely only asks whether rows were changed; what else Postgres answers counts as a SELECT. */
function asCommand(command: string): Command {
  return COMMANDS.find((known) => known === command) ?? 'SELECT';
}

class WriteDriver extends PostgresDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw(BEGIN_WRITE));
    } catch (thrown) {
      await this.rollbackTransaction(connection).catch(() => {
        // The connection is gone, and with it the transaction; what failed first is thrown.
      });
      throw thrown;
    }
  }
}

export class WriteDialect extends PostgresDialect {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    super({ pool });
    this.#pool = pool;
  }

  override createDriver(): Driver {
    return new WriteDriver({ pool: this.#pool });
  }
}
