import type { KilnEvent } from '../domain/audit.ts';
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { Database } from './database.ts';
import type { Reader } from './engine.ts';
import { fromJson } from './json.ts';

const PRUNED_AT_A_TIME = 1_000;

/** Numbered 1, 2, 3… without a gap, visible in that order: see change.ts. */
export class Events implements EventStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  append(
    kind: string,
    subject: string,
    data: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<Revision> {
    return this.#database.change(change, async (tx) => tx.event(kind, subject, data));
  }

  after(revision: Revision, limit: number): Promise<readonly KilnEvent[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('events')
        .selectAll()
        .where('revision', '>', revision)
        .orderBy('revision')
        .limit(limit)
        .execute();
      // Every number is an event: where the next one is missing, it has been pruned.
      const [first] = rows;
      if (first !== undefined && first.revision !== revision + 1) throw pruned(revision, first.revision);
      return rows.map((row) => ({
        revision: row.revision,
        atMs: row.at_ms,
        kind: row.kind,
        subject: row.subject,
        data: fromJson<Record<string, unknown>>(row.data),
      }));
    });
  }

  prune(olderThanMs: number): Promise<number> {
    return this.#database.coordinate(async (db) => {
      const needed = await oldestNeeded(db);
      const oldest = await db
        .selectFrom('events')
        .select(['revision', 'at_ms'])
        .where('revision', '<', needed)
        .orderBy('revision')
        .limit(PRUNED_AT_A_TIME)
        .execute();
      // Up to the first that is young: what follows it is kept too, however its clock went.
      const young = oldest.findIndex((row) => row.at_ms >= olderThanMs);
      const old = young === -1 ? oldest : oldest.slice(0, young);
      const last = old.at(-1);
      if (last !== undefined) await db.deleteFrom('events').where('revision', '<=', last.revision).execute();
      return old.length;
    });
  }

  revision(): Promise<Revision> {
    return this.#database.revision();
  }

  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision> {
    return this.#database.revisions.waitAfter(revision, signal);
  }
}

/** The first event that somebody may still ask for, or the newest. */
async function oldestNeeded(db: Reader): Promise<Revision> {
  const { revision } = await db.selectFrom('state').select('revision').executeTakeFirstOrThrow();
  const deployment = await db
    .selectFrom('deployments')
    .select(({ fn }) => fn.min('ordinal').as('ordinal'))
    .where('ended_at_ms', 'is', null)
    .executeTakeFirst();
  const execution = await db
    .selectFrom('execution_heads')
    .select(({ fn }) => fn.min('ordinal').as('ordinal'))
    .where('ended_at_ms', 'is', null)
    .executeTakeFirst();
  // Where readers of events are; what schedules note there is a time, larger than any revision.
  const cursor = await db
    .selectFrom('trigger_cursors')
    .select(({ fn }) => fn.min('value').as('revision'))
    .executeTakeFirst();
  return Math.min(
    revision,
    deployment?.ordinal ?? revision,
    execution?.ordinal ?? revision,
    (cursor?.revision ?? revision) + 1,
  );
}

function pruned(asked: Revision, oldest: Revision): KilnError {
  return new KilnError('events.pruned', `Events after revision ${asked} are no longer kept.`, {
    next: `Read what there is now, and follow it from its revision; the oldest event is ${oldest}.`,
    details: { oldest },
  });
}
