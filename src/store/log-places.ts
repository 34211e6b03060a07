/** Which server has which log of a task. No events and no audit: the log itself says what happened. */
import type { LogPlace, LogPlaceStore } from '../domain/ports/task-log.ts';
import type { Database } from './database.ts';

export class LogPlaces implements LogPlaceStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  note({ execution, task, server, state, startedAtMs }: LogPlace): Promise<void> {
    return this.#database.coordinate(async (db) => {
      const begun = { state, started_at_ms: startedAtMs };
      await db
        .insertInto('log_places')
        .values({ execution, task, server, ...begun })
        .onConflict((conflict) => conflict.columns(['execution', 'task', 'server']).doUpdateSet(begun))
        .execute();
    });
  }

  of(execution: string): Promise<readonly LogPlace[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('log_places')
        .selectAll()
        .where('execution', '=', execution)
        .orderBy('started_at_ms', 'desc')
        .orderBy('task')
        .execute();
      return rows.map(({ started_at_ms, ...place }) => ({ ...place, startedAtMs: started_at_ms }));
    });
  }
}
