/**
 * Executions of pipelines. A holder says now and then that it lives (one row), and what it has claimed is its own for
 * as long; so ten thousand waiting executions cost no renewals. Every claim raises the execution's fence.
 */
import { type SqlBool, sql } from 'kysely';
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type {
  Claim,
  ExecutionAppend,
  ExecutionOrigin,
  ExecutionRecord,
  ExecutionSignal,
  ExecutionStore,
  OnOpenGroup,
  StoredExecution,
} from '../domain/ports/executions.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import { ExecutionAppends } from './execution-appends.ts';
import { claimable } from './execution-claims.ts';
import { factsRow } from './execution-history.ts';
import { type ExecutionBody, joined, recordOf, records } from './execution-records.ts';
import { asJson, fromJson } from './json.ts';
import { pageBounds, pageByOrdinal } from './page.ts';
import { beginsWith } from './prefix.ts';
import type { ExecutionHeadTable } from './tables/executions.ts';

export class Executions implements ExecutionStore {
  readonly #database: Database;
  readonly #appends: ExecutionAppends;

  constructor(database: Database) {
    this.#database = database;
    this.#appends = new ExecutionAppends(database);
  }

  putDefinition(name: string, body: unknown): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .insertInto('pipeline_definitions')
        .values({ name, body: asJson(body) })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
    });
  }

  definition(name: string): Promise<unknown> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('pipeline_definitions')
        .select('body')
        .where('name', '=', name)
        .executeTakeFirst();
      return row && fromJson<unknown>(row.body);
    });
  }

  create(origin: ExecutionOrigin, onOpen: OnOpenGroup, change: Change): Promise<ExecutionRecord> {
    return this.#database.change(change, async (tx) => {
      const { id, pipeline, definition, ...rest } = origin;
      const ordinal = tx.event('execution.created', id, { pipeline });
      if (origin.group !== undefined) await makeWay(tx, origin, origin.group, onOpen);
      const body: ExecutionBody = { ...rest, createdAtMs: change.atMs, createdBy: change.actor };
      await tx.db
        .insertInto('executions')
        .values({ id, ordinal, pipeline, definition, body: asJson(body) })
        .execute();
      const head: ExecutionHeadTable = {
        id,
        ordinal,
        status: 'PENDING',
        ended_at_ms: null,
        sequence: 0,
        priority: origin.priority,
        group_name: origin.group ?? null,
        home: origin.home ?? null,
        holder: null,
        fence: 0,
      };
      await tx.db.insertInto('execution_heads').values(head).execute();
      const record = recordOf({ id, ordinal, pipeline, definition, body: asJson(body) }, head);
      await tx.db.insertInto('execution_facts').values(factsRow(record, ordinal)).execute();
      tx.audit('execution.create', id, { pipeline, definition });
      return record;
    });
  }

  async get(id: string): Promise<ExecutionRecord | undefined> {
    const [record] = await this.#database.read((db) => records(db, [id]));
    return record;
  }

  list(
    filter: { readonly pipeline?: string; readonly open?: boolean },
    page: PageRequest,
  ): Promise<Page<ExecutionRecord>> {
    const bounds = pageBounds(page);
    const { pipeline, open } = filter;
    return this.#database.read(async (db) => {
      let query = joined(db).where('executions.ordinal', '<', bounds.before);
      if (pipeline !== undefined) query = query.where('executions.pipeline', '=', pipeline);
      if (open !== undefined)
        query = query.where('execution_heads.ended_at_ms', open ? 'is' : 'is not', null);
      const rows = await query.orderBy('executions.ordinal', 'desc').limit(bounds.fetch).execute();
      return pageByOrdinal(rows, bounds, (row) => recordOf(row, row));
    });
  }

  load(ids: readonly string[]): Promise<readonly StoredExecution[]> {
    if (ids.length === 0) return Promise.resolve([]);
    return this.#database.read(async (db) => {
      const found = await records(db, ids);
      const snapshots = await db
        .selectFrom('execution_snapshots')
        .selectAll()
        .where('id', 'in', ids)
        .execute();
      const events = await db
        .selectFrom('execution_events as event')
        .leftJoin('execution_snapshots as snapshot', 'snapshot.id', 'event.id')
        .select(['event.id', 'event.body'])
        .where('event.id', 'in', ids)
        .where(sql<SqlBool>`event.sequence > coalesce(snapshot.sequence, 0)`)
        .orderBy('event.id')
        .orderBy('event.sequence')
        .execute();
      const signals = await db
        .selectFrom('execution_signals')
        .selectAll()
        .where('id', 'in', ids)
        .orderBy('ordinal')
        .execute();
      const snapshotOf = new Map(snapshots.map((row) => [row.id, row]));
      const eventsOf = Map.groupBy(events, ({ id }) => id);
      const signalsOf = Map.groupBy(signals, ({ id }) => id);
      return found.map((record): StoredExecution => {
        const snapshot = snapshotOf.get(record.id);
        return {
          record,
          ...(snapshot && {
            snapshot: { sequence: snapshot.sequence, state: fromJson<unknown>(snapshot.body) },
          }),
          events: (eventsOf.get(record.id) ?? []).map(({ body }) => fromJson<unknown>(body)),
          signals: (signalsOf.get(record.id) ?? []).map(signalOf),
        };
      });
    });
  }

  events(id: string): Promise<readonly unknown[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('execution_events')
        .select('body')
        .where('id', '=', id)
        .orderBy('sequence')
        .execute();
      return rows.map(({ body }) => fromJson<unknown>(body));
    });
  }

  append(append: ExecutionAppend): Promise<void> {
    return this.#appends.append(append);
  }

  signal(id: string, action: string, body: unknown, change: Change): Promise<boolean> {
    return this.#database.change(change, async (tx) => {
      const head = await tx.db
        .selectFrom('execution_heads')
        .select('ended_at_ms')
        .where('id', '=', id)
        .executeTakeFirst();
      if (head === undefined)
        throw new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
      if (head.ended_at_ms !== null) return false;
      await putSignal(tx, id, body);
      tx.audit(action, id, {});
      return true;
    });
  }

  signals(id: string): Promise<readonly ExecutionSignal[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('execution_signals')
        .selectAll()
        .where('id', '=', id)
        .orderBy('ordinal')
        .execute();
      return rows.map(signalOf);
    });
  }

  renew(holder: string, ttlMs: number, nowMs: number): Promise<void> {
    return this.#database.coordinate(async (db) => {
      const values = { expires_at_ms: nowMs + ttlMs };
      await db
        .insertInto('execution_holders')
        .values({ holder, ...values })
        .onConflict((conflict) => conflict.column('holder').doUpdateSet(values))
        .execute();
    });
  }

  async claim(holder: string, limit: number, nowMs: number): Promise<readonly Claim[]> {
    // Looked for without the lock of all writers first: mostly there is nothing.
    const some = await this.#database.read((db) => claimable(db, holder, 1, nowMs));
    if (some.length === 0) return [];
    return this.#database.coordinate(async (db) => {
      const ids = await claimable(db, holder, limit, nowMs);
      if (ids.length === 0) return [];
      return db
        .updateTable('execution_heads')
        .set((row) => ({ holder, fence: row('fence', '+', 1) }))
        .where('id', 'in', ids)
        .returning(['id', 'fence'])
        .execute();
    });
  }

  releaseAll(holders: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db.deleteFrom('execution_holders').where(beginsWith('holder', holders)).execute();
      await db
        .updateTable('execution_heads')
        .set({ holder: null })
        .where('ended_at_ms', 'is', null)
        .where(beginsWith('holder', holders))
        .execute();
    });
  }
}

async function makeWay(
  tx: ChangeTransaction,
  { id }: ExecutionOrigin,
  group: string,
  onOpen: OnOpenGroup,
): Promise<void> {
  if (onOpen === 'queue') return;
  const open = await tx.db
    .selectFrom('execution_heads')
    .select('id')
    .where('group_name', '=', group)
    .where('ended_at_ms', 'is', null)
    .orderBy('ordinal')
    .execute();
  const [first] = open;
  if (first !== undefined && onOpen === 'refuse') {
    throw new KilnError('input.conflict', `Execution ${first.id} of the group "${group}" has not ended.`, {
      next: `Wait for it, or cancel it: kiln pipeline cancel ${first.id}`,
      details: { execution: first.id },
    });
  }
  for (const older of open) {
    const cause = `Execution ${id} of the same group is newer.`;
    await putSignal(tx, older.id, { type: 'aborted', error: 'Kiln.Superseded', cause });
  }
}

async function putSignal(tx: ChangeTransaction, id: string, body: unknown): Promise<void> {
  const ordinal = tx.event('execution.signalled', id, {});
  await tx.db
    .insertInto('execution_signals')
    .values({ ordinal, id, at_ms: tx.atMs, body: asJson(body) })
    .execute();
}

function signalOf(row: {
  readonly ordinal: number;
  readonly at_ms: number;
  readonly body: Parameters<typeof fromJson>[0];
}): ExecutionSignal {
  return { number: row.ordinal, atMs: row.at_ms, body: fromJson<unknown>(row.body) };
}
