import type { KilnEvent } from '../domain/audit.ts';
import type { Change } from '../domain/change.ts';
import type { Revision } from '../domain/ids.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { Database } from './database.ts';
import { fromJson } from './json.ts';

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
      return rows.map((row) => ({
        revision: row.revision,
        atMs: row.at_ms,
        kind: row.kind,
        subject: row.subject,
        data: fromJson<Record<string, unknown>>(row.data),
      }));
    });
  }

  revision(): Promise<Revision> {
    return this.#database.revision();
  }

  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision> {
    return this.#database.revisions.waitAfter(revision, signal);
  }
}
