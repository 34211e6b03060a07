/** Sources of pipelines and what starts them. Taking an event and moving its ref's head is one transaction. */
import type { Change } from '../domain/change.ts';
import type { Revision } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type { RefHead, TakenEvent, TriggerOutcome, TriggerStore } from '../domain/ports/triggers.ts';
import type { PipelineSource, PushEvent, TriggerEvent } from '../domain/trigger.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import type { Writer } from './engine.ts';
import { asJson, fromJson } from './json.ts';
import { pageBounds, pageByOrdinal } from './page.ts';
import type { TriggerEventTable } from './tables/triggers.ts';

/** So many later events at most may have come before an earlier one. */
const OVERTAKEN_BY = 50;
const PRUNED_AT_A_TIME = 500;

export class TriggerEvents implements TriggerStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  register(source: PipelineSource, heads: readonly RefHead[], change: Change): Promise<PipelineSource> {
    return this.#database.change(change, async (tx) => {
      const { id, component, location } = source;
      const ordinal = tx.event('pipeline-source.registered', id, { component });
      await tx.db
        .insertInto('pipeline_sources')
        .values({ id, ordinal, body: asJson(source) })
        .execute();
      for (const head of heads) await putHead(tx.db, id, head);
      tx.audit('pipeline-source.register', id, { component, location });
      return source;
    });
  }

  update(
    id: string,
    facts: Pick<PipelineSource, 'component' | 'triggers' | 'checkout' | 'base'>,
    change: Change,
  ): Promise<boolean> {
    return this.#database.change(change, async (tx) => {
      const row = await tx.db
        .selectFrom('pipeline_sources')
        .select('body')
        .where('id', '=', id)
        .executeTakeFirst();
      if (row === undefined) return false;
      const { base: _, ...before } = fromJson<PipelineSource>(row.body);
      await tx.db
        .updateTable('pipeline_sources')
        .set({ body: asJson({ ...before, ...facts }) })
        .where('id', '=', id)
        .execute();
      tx.event('pipeline-source.changed', id, { component: facts.component });
      return true;
    });
  }

  remove(id: string, change: Change): Promise<boolean> {
    return this.#database.change(change, async (tx) => {
      const gone = await tx.db
        .deleteFrom('pipeline_sources')
        .where('id', '=', id)
        .returning('id')
        .executeTakeFirst();
      if (gone === undefined) return false;
      await tx.db.deleteFrom('trigger_heads').where('source', '=', id).execute();
      await tx.db
        .deleteFrom('trigger_events')
        .where('source', '=', id)
        .where('outcome', 'is', null)
        .execute();
      tx.event('pipeline-source.removed', id, {});
      tx.audit('pipeline-source.remove', id, {});
      return true;
    });
  }

  source(id: string): Promise<PipelineSource | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('pipeline_sources')
        .select('body')
        .where('id', '=', id)
        .executeTakeFirst();
      return row && fromJson<PipelineSource>(row.body);
    });
  }

  sources(): Promise<readonly PipelineSource[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('pipeline_sources').select('body').orderBy('ordinal').execute();
      return rows.map(({ body }) => fromJson<PipelineSource>(body));
    });
  }

  heads(source: string): Promise<readonly RefHead[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('trigger_heads').selectAll().where('source', '=', source).execute();
      return rows.map(({ ref, commit_id }) => ({ ref, commit: commit_id }));
    });
  }

  forgetHead(source: string, ref: string, commit?: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      let gone = db.deleteFrom('trigger_heads').where('source', '=', source).where('ref', '=', ref);
      if (commit !== undefined) gone = gone.where('commit_id', '=', commit);
      await gone.execute();
    });
  }

  take(
    source: string,
    key: string,
    event: TriggerEvent,
    change: Change,
    since?: { readonly head: string | undefined },
  ): Promise<Revision | undefined> {
    return this.#database.change(change, async (tx) => {
      const registered = await tx.db
        .selectFrom('pipeline_sources')
        .select('id')
        .where('id', '=', source)
        .executeTakeFirst();
      if (registered === undefined || (await isKnown(tx, source, key, event, since))) return undefined;
      const ordinal = tx.event('trigger.taken', source, { kind: event.kind });
      const row = { ordinal, source, key, at_ms: change.atMs, body: asJson(event), outcome: null };
      await tx.db.insertInto('trigger_events').values(row).execute();
      if (event.kind === 'push') await putHead(tx.db, source, event);
      return ordinal;
    });
  }

  waiting(limit: number): Promise<readonly TakenEvent[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('trigger_events')
        .selectAll()
        .where('outcome', 'is', null)
        .orderBy('ordinal')
        .limit(limit)
        .execute();
      return rows.map(taken);
    });
  }

  settle(number: Revision, outcome: TriggerOutcome, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const settled = await tx.db
        .updateTable('trigger_events')
        .set({ outcome: asJson(outcome) })
        .where('ordinal', '=', number)
        .where('outcome', 'is', null)
        .returning('source')
        .executeTakeFirst();
      if (settled !== undefined) tx.event('trigger.settled', settled.source, { number, ...outcome });
    });
  }

  list(filter: { readonly source?: string }, page: PageRequest): Promise<Page<TakenEvent>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      let query = db.selectFrom('trigger_events').selectAll().where('ordinal', '<', bounds.before);
      if (filter.source !== undefined) query = query.where('source', '=', filter.source);
      const rows = await query.orderBy('ordinal', 'desc').limit(bounds.fetch).execute();
      return pageByOrdinal(rows, bounds, taken);
    });
  }

  prune(takenBeforeMs: number): Promise<number> {
    return this.#database.coordinate(async (db) => {
      const oldest = await db
        .selectFrom('trigger_events')
        .select('ordinal')
        .where('outcome', 'is not', null)
        .where('at_ms', '<', takenBeforeMs)
        .orderBy('ordinal')
        .limit(PRUNED_AT_A_TIME)
        .execute();
      const ordinals = oldest.map(({ ordinal }) => ordinal);
      if (ordinals.length > 0)
        await db.deleteFrom('trigger_events').where('ordinal', 'in', ordinals).execute();
      return ordinals.length;
    });
  }

  cursor(name: string): Promise<number | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('trigger_cursors')
        .select('value')
        .where('name', '=', name)
        .executeTakeFirst();
      return row?.value;
    });
  }

  note(name: string, value: number): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .insertInto('trigger_cursors')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
        .execute();
    });
  }
}

async function isKnown(
  { db }: ChangeTransaction,
  source: string,
  key: string,
  event: TriggerEvent,
  since: { readonly head: string | undefined } | undefined,
): Promise<boolean> {
  const same = await db
    .selectFrom('trigger_events')
    .select('ordinal')
    .where('source', '=', source)
    .where('key', '=', key)
    .executeTakeFirst();
  if (same !== undefined || event.kind !== 'push') return same !== undefined;
  const head = await db
    .selectFrom('trigger_heads')
    .select('commit_id')
    .where('source', '=', source)
    .where('ref', '=', event.ref)
    .executeTakeFirst();
  if (since !== undefined && head?.commit_id !== since.head) return true;
  if (head?.commit_id === event.commit) return true;
  const isInOrder = head === undefined || event.before === undefined || head.commit_id === event.before;
  return !isInOrder && (await hasGoneOn(db, source, event));
}

/** Tellers may overtake each other: the ref is known to have gone on from there already. */
async function hasGoneOn(db: Writer, source: string, { ref, commit }: PushEvent): Promise<boolean> {
  const rows = await db
    .selectFrom('trigger_events')
    .select('body')
    .where('source', '=', source)
    .orderBy('ordinal', 'desc')
    .limit(OVERTAKEN_BY)
    .execute();
  return rows
    .map(({ body }) => fromJson<TriggerEvent>(body))
    .some((one) => one.kind === 'push' && one.ref === ref && one.before === commit);
}

async function putHead(db: Writer, source: string, { ref, commit }: RefHead): Promise<void> {
  await db
    .insertInto('trigger_heads')
    .values({ source, ref, commit_id: commit })
    .onConflict((conflict) => conflict.columns(['source', 'ref']).doUpdateSet({ commit_id: commit }))
    .execute();
}

function taken({ ordinal, source, key, at_ms, body, outcome }: TriggerEventTable): TakenEvent {
  return {
    number: ordinal,
    source,
    key,
    event: fromJson<TriggerEvent>(body),
    takenAtMs: at_ms,
    ...(outcome !== null && { outcome: fromJson<TriggerOutcome>(outcome) }),
  };
}
