/** Which servers work on the store, one row each. No events and no audit: heartbeats would drown them. */
import type { KnownServer } from '../domain/known-server.ts';
import type { ServerStore } from '../domain/ports/servers.ts';
import type { Database } from './database.ts';
import type { ServerTable } from './tables/servers.ts';

export class Servers implements ServerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  beat(server: Omit<KnownServer, 'stoppedAtMs'>, forgetBeforeMs: number): Promise<void> {
    const { id, url, host, version, startedAtMs, seenAtMs } = server;
    const said = {
      url,
      host,
      version,
      started_at_ms: startedAtMs,
      seen_at_ms: seenAtMs,
      stopped_at_ms: null,
    };
    return this.#database.coordinate(async (db) => {
      await db
        .insertInto('servers')
        .values({ id, ...said })
        .onConflict((conflict) => conflict.column('id').doUpdateSet(said))
        .execute();
      await db.deleteFrom('servers').where('seen_at_ms', '<', forgetBeforeMs).execute();
    });
  }

  stopped(id: string, atMs: number): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db.updateTable('servers').set({ stopped_at_ms: atMs }).where('id', '=', id).execute();
    });
  }

  get(id: string): Promise<KnownServer | undefined> {
    return this.#database.read(async (db) => {
      const row = await db.selectFrom('servers').selectAll().where('id', '=', id).executeTakeFirst();
      return row && serverOf(row);
    });
  }

  list(): Promise<readonly KnownServer[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('servers')
        .selectAll()
        .orderBy('started_at_ms')
        .orderBy('id')
        .execute();
      return rows.map(serverOf);
    });
  }
}

function serverOf({ id, url, host, version, ...times }: ServerTable): KnownServer {
  return {
    id,
    url,
    host,
    version,
    startedAtMs: times.started_at_ms,
    seenAtMs: times.seen_at_ms,
    ...(times.stopped_at_ms !== null && { stoppedAtMs: times.stopped_at_ms }),
  };
}
