/**
 * Group commit: while one transaction is written, all appends that come gather for the next. Each is judged by itself,
 * so that one that is refused does not take the others with it.
 */
import { KilnError } from '../domain/errors.ts';
import type { ExecutionAppend } from '../domain/ports/executions.ts';
import type { Database } from './database.ts';
import type { Writer } from './engine.ts';
import { noteFailure } from './execution-history.ts';
import { asJson } from './json.ts';
import type { ExecutionHeadTable } from './tables/executions.ts';

/** Together below SQLite's limit of bound values, and short enough that other writers get their turn. */
const LARGEST_BATCH = 500;

interface Waiting {
  readonly append: ExecutionAppend;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class ExecutionAppends {
  readonly #database: Database;
  #waiting: Waiting[] = [];
  #writing = false;

  constructor(database: Database) {
    this.#database = database;
  }

  append(append: ExecutionAppend): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ append, resolve, reject });
    if (!this.#writing) void this.#writeAll();
    return promise;
  }

  /** Never rejects: whoever waits is told. */
  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      // All that can go on now appends before the next batch is closed.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = this.#waiting.splice(0, LARGEST_BATCH);
      try {
        const refused = await this.#write(batch.map(({ append }) => append));
        for (const [at, { resolve, reject }] of batch.entries()) {
          const why = refused.get(at);
          if (why === undefined) resolve();
          else reject(why);
        }
      } catch (thrown) {
        for (const { reject } of batch) reject(thrown);
      }
    }
    this.#writing = false;
  }

  /** Answers the refused ones by their place. Only an end is an event that people follow. */
  #write(batch: readonly ExecutionAppend[]): Promise<ReadonlyMap<number, KilnError>> {
    const last = batch.at(-1);
    if (last === undefined || !batch.some(isEnd))
      return this.#database.coordinate(async (db) => (await writeBatch(db, batch)).refused);
    return this.#database.change({ actor: 'pipeline', atMs: last.atMs }, async (tx) => {
      const { refused, written } = await writeBatch(tx.db, batch);
      for (const append of written) {
        if (isEnd(append)) tx.event('execution.ended', append.id, { status: append.status });
      }
      return refused;
    });
  }
}

function isEnd({ status }: ExecutionAppend): boolean {
  return status !== 'PENDING' && status !== 'RUNNING';
}

async function writeBatch(
  db: Writer,
  batch: readonly ExecutionAppend[],
): Promise<{ refused: ReadonlyMap<number, KilnError>; written: readonly ExecutionAppend[] }> {
  const heads = new Map<string, ExecutionHeadTable>();
  for (const ids of inFewSizes([...new Set(batch.map(({ id }) => id))])) {
    const rows = await db.selectFrom('execution_heads').selectAll().where('id', 'in', ids).execute();
    for (const row of rows) heads.set(row.id, row);
  }
  const refused = new Map<number, KilnError>();
  const written: ExecutionAppend[] = [];
  for (const [at, append] of batch.entries()) {
    const head = heads.get(append.id);
    const why = refusalOf(append, head);
    if (why !== undefined || head === undefined) {
      refused.set(at, why ?? missing(append.id));
      continue;
    }
    written.push(append);
    heads.set(append.id, {
      ...head,
      status: append.status,
      sequence: append.after + append.events.length,
      ended_at_ms: isEnd(append) ? append.atMs : null,
    });
  }
  await writeRows(db, written, heads);
  return { refused, written };
}

async function writeRows(
  db: Writer,
  written: readonly ExecutionAppend[],
  heads: ReadonlyMap<string, ExecutionHeadTable>,
): Promise<void> {
  const events = written.flatMap(({ id, after, events }) =>
    events.map((event, n) => ({ id, sequence: after + n + 1, body: asJson(event) })),
  );
  for (const some of inFewSizes(events)) await db.insertInto('execution_events').values(some).execute();
  const changed = [...new Set(written.map(({ id }) => id))].flatMap((id) => heads.get(id) ?? []);
  for (const some of inFewSizes(changed)) {
    await db
      .insertInto('execution_heads')
      .values(some)
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet((row) => ({
          status: row.ref('excluded.status'),
          sequence: row.ref('excluded.sequence'),
          ended_at_ms: row.ref('excluded.ended_at_ms'),
        })),
      )
      .execute();
  }
  const snapshots = new Map(
    written
      .filter(({ snapshot }) => snapshot !== undefined)
      .map(({ id, after, events, snapshot }) => [
        id,
        { id, sequence: after + events.length, body: asJson(snapshot) },
      ]),
  );
  for (const some of inFewSizes([...snapshots.values()])) {
    await db
      .insertInto('execution_snapshots')
      .values(some)
      .onConflict((conflict) =>
        conflict.column('id').doUpdateSet((row) => ({
          sequence: row.ref('excluded.sequence'),
          body: row.ref('excluded.body'),
        })),
      )
      .execute();
  }
  for (const append of written) await noteFailure(db, append);
  const consumed = written.flatMap(({ consumed = [] }) => consumed);
  if (consumed.length > 0)
    await db.deleteFrom('execution_signals').where('ordinal', 'in', consumed).execute();
}

/** Statements are kept prepared by their text, which differs with the number of rows: so there are only these few. */
const SIZES = [64, 16, 4, 1];

function inFewSizes<Row>(rows: readonly Row[]): readonly (readonly Row[])[] {
  const parts: (readonly Row[])[] = [];
  let from = 0;
  for (const size of SIZES) {
    for (; rows.length - from >= size; from += size) parts.push(rows.slice(from, from + size));
  }
  return parts;
}

function refusalOf(append: ExecutionAppend, head: ExecutionHeadTable | undefined): KilnError | undefined {
  const { id, fence, after } = append;
  if (head === undefined) return missing(id);
  if (head.fence !== fence || head.holder === null) {
    const owner = head.holder ?? 'nobody';
    return new KilnError('fence.stale', `Execution ${id} is held by ${owner} with fence ${head.fence}.`, {
      next: 'Stop acting for this execution; its present holder goes on.',
      details: { execution: id, fence, currentFence: head.fence },
    });
  }
  if (head.sequence === after) return undefined;
  return new KilnError('input.conflict', `Execution ${id} has ${head.sequence} events, not ${after}.`, {
    next: 'Load it again.',
  });
}

function missing(id: string): KilnError {
  return new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
}
