import type { AuditEntry } from '../domain/audit.ts';
import type { Change } from '../domain/change.ts';
import type { Revision } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type { AuditStore } from '../domain/ports/audit.ts';
import { CHAIN_START, chainHash } from './audit-chain.ts';
import type { Database } from './database.ts';
import { fromJson } from './json.ts';
import { pageBounds, pageOf } from './page.ts';
import type { AuditTable } from './tables/journal.ts';

/** Lines read at a time when the chain is walked. */
const STRIDE = 1000;

export class Audit implements AuditStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. */
  async list(page: PageRequest): Promise<Page<AuditEntry>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('audit')
        .selectAll()
        .where('revision', '<', bounds.before)
        .orderBy('revision', 'desc')
        .limit(bounds.fetch)
        .execute();
      return pageOf(
        rows,
        bounds,
        (row) => row.revision,
        (shown) => shown.map(asEntry),
      );
    });
  }

  async firstBroken(): Promise<Revision | undefined> {
    const head = await this.#head();
    // One statement read both, so a line beyond the state's newest was not written by Kiln.
    if (head.newest !== null && head.newest > head.audit_revision) return head.newest;
    let hash = CHAIN_START;
    let revision = 0;
    while (revision < head.audit_revision) {
      const lines = await this.#linesBetween(revision, head.audit_revision);
      for (const line of lines) {
        hash = chainHash(hash, line);
        if (hash !== line.hash) return line.revision;
      }
      revision = lines.at(-1)?.revision ?? head.audit_revision;
    }
    // Whole in itself, but does it end where the newest change left it?
    return hash === head.audit_hash ? undefined : head.audit_revision;
  }

  append(
    action: string,
    subject: string,
    detail: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<void> {
    return this.#database.change(change, async (tx) => {
      tx.event('audit.appended', subject, { action });
      tx.audit(action, subject, detail);
    });
  }

  #head(): Promise<{ audit_revision: Revision; audit_hash: string; newest: Revision | null }> {
    return this.#database.read((db) =>
      db
        .selectFrom('state')
        .select(['audit_revision', 'audit_hash'])
        .select((state) =>
          state
            .selectFrom('audit')
            .select(({ fn }) => fn.max('revision').as('newest'))
            .as('newest'),
        )
        .executeTakeFirstOrThrow(),
    );
  }

  #linesBetween(after: Revision, last: Revision): Promise<readonly AuditTable[]> {
    return this.#database.read((db) =>
      db
        .selectFrom('audit')
        .selectAll()
        .where('revision', '>', after)
        .where('revision', '<=', last)
        .orderBy('revision')
        .limit(STRIDE)
        .execute(),
    );
  }
}

function asEntry(row: AuditTable): AuditEntry {
  return {
    revision: row.revision,
    atMs: row.at_ms,
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    detail: fromJson<Record<string, unknown>>(row.detail),
    hash: row.hash,
  };
}
