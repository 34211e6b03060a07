/**
 * One write transaction that changes something people follow.
 *
 * Revisions: each event takes a number of its own, the next one, so that every number from 1
 * up is exactly one event and `revision > n` misses nothing and repeats nothing; a change with
 * several events takes as many consecutive numbers, which become visible together. Its audit
 * line, one at most, carries the first of them. A change without an event takes no number and
 * leaves no trace: it found nothing to do.
 */

import type { CallAttempt, Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';
import { type AuditLine, chainHash } from './audit-chain.ts';
import type { Writer } from './engine.ts';
import { toJson } from './json.ts';
import { SCHEMA_VERSION } from './migrate.ts';
import { newerVersion } from './newer-version.ts';
import { noteMade } from './note-made.ts';
import type { EventTable, StateTable } from './tables/journal.ts';

export class ChangeTransaction {
  readonly db: Writer;
  readonly actor: string;
  readonly atMs: number;
  /** The number that the first event of this change gets. */
  readonly revision: Revision;
  readonly #state: StateTable;
  readonly #attempt: CallAttempt | undefined;
  readonly #events: EventTable[] = [];
  #auditLine: AuditLine | undefined;

  private constructor(db: Writer, change: Change, state: StateTable) {
    this.db = db;
    this.actor = change.actor;
    this.atMs = change.atMs;
    this.revision = state.revision + 1;
    this.#state = state;
    this.#attempt = change.attempt;
  }

  static async begin(db: Writer, change: Change): Promise<ChangeTransaction> {
    const state = await db.selectFrom('state').selectAll().executeTakeFirstOrThrow();
    if (state.schema_version > SCHEMA_VERSION) throw newerVersion(state.schema_version, SCHEMA_VERSION);
    return new ChangeTransaction(db, change, state);
  }

  /** Appends an event; answers its revision. */
  event(kind: string, subject: string, data: Readonly<Record<string, unknown>>): Revision {
    const revision = this.revision + this.#events.length;
    this.#events.push({ revision, at_ms: this.atMs, kind, subject, data: toJson(data) });
    return revision;
  }

  audit(action: string, subject: string, detail: Readonly<Record<string, unknown>>): void {
    if (this.#auditLine) throw new KilnError('internal', 'A change has more than one audit line.');
    this.#auditLine = {
      revision: this.revision,
      at_ms: this.atMs,
      actor: this.actor,
      action,
      subject,
      detail: toJson(detail),
    };
  }

  /** Writes events, audit line and the new state; answers the newest revision of this transaction. */
  async record(): Promise<Revision> {
    if (this.#events.length === 0) {
      if (this.#auditLine) throw new KilnError('internal', 'An audit line came without an event.');
      return this.#state.revision;
    }
    const revision = this.#state.revision + this.#events.length;
    await this.db.insertInto('events').values(this.#events).execute();
    await this.#noteMade();
    const head = await this.#recordAudit();
    await this.db
      .updateTable('state')
      .set({ revision, ...head })
      .execute();
    return revision;
  }

  async #noteMade(): Promise<void> {
    const made = this.#auditLine?.subject ?? this.#events[0]?.subject;
    if (this.#attempt === undefined || made === undefined) return;
    await noteMade(this.db, this.actor, this.#attempt, made);
  }

  async #recordAudit(): Promise<{ audit_revision?: Revision; audit_hash?: string }> {
    const line = this.#auditLine;
    if (!line) return {};
    const hash = chainHash(this.#state.audit_hash, line);
    await this.db
      .insertInto('audit')
      .values({ ...line, hash })
      .execute();
    return { audit_revision: line.revision, audit_hash: hash };
  }
}
