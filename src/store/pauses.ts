import type { Change } from '../domain/change.ts';
import type { EnvironmentName } from '../domain/ids.ts';
import type { Pause, PauseStore } from '../domain/ports/pauses.ts';
import type { Database } from './database.ts';
import type { EnvironmentPauseTable } from './tables/deployments.ts';

export class Pauses implements PauseStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(): Promise<readonly Pause[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('environment_pauses').selectAll().orderBy('environment').execute();
      return rows.map(pauseOf);
    });
  }

  pause(environment: EnvironmentName, why: string, change: Change): Promise<Pause> {
    return this.#database.change(change, async (tx) => {
      const values = { environment, paused_by: change.actor, why, at_ms: change.atMs };
      const made = await tx.db
        .insertInto('environment_pauses')
        .values(values)
        .onConflict((conflict) => conflict.column('environment').doNothing())
        .returningAll()
        .executeTakeFirst();
      if (made === undefined) {
        const there = await tx.db
          .selectFrom('environment_pauses')
          .selectAll()
          .where('environment', '=', environment)
          .executeTakeFirstOrThrow();
        return pauseOf(there);
      }
      tx.event('environment.paused', environment, { why });
      tx.audit('environment.pause', environment, { why });
      return pauseOf(made);
    });
  }

  resume(environment: EnvironmentName, change: Change): Promise<boolean> {
    return this.#database.change(change, async (tx) => {
      const gone = await tx.db
        .deleteFrom('environment_pauses')
        .where('environment', '=', environment)
        .returning('environment')
        .executeTakeFirst();
      if (gone === undefined) return false;
      tx.event('environment.resumed', environment, {});
      tx.audit('environment.resume', environment, {});
      return true;
    });
  }
}

function pauseOf({ environment, paused_by, why, at_ms }: EnvironmentPauseTable): Pause {
  return { environment, by: paused_by, why, sinceMs: at_ms };
}
