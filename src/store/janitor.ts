/** What the janitor reads and writes; a sweep itself is in catalogue/sweep-images.ts. */

import type { Change } from '../domain/change.ts';
import type { ImageId } from '../domain/ids.ts';
import type { Artifact } from '../domain/image.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type {
  AnnouncedImage,
  JanitorState,
  JanitorStore,
  MarkedImage,
  SweepOutcome,
  SweptArtifact,
} from '../domain/ports/janitor.ts';
import type { KeepReason, RetentionDecision, RetentionPolicy } from '../domain/retention.ts';
import type { LongReads } from './catalogue/long-reads.ts';
import { references } from './catalogue/references.ts';
import { sweepImages } from './catalogue/sweep-images.ts';
import type { Database } from './database.ts';
import type { Reader } from './engine.ts';
import { fromJson } from './json.ts';
import { pageBounds, pageOf } from './page.ts';
import type { ImageIndexTable } from './tables/catalogue.ts';

const AT_A_TIME = 500;
/** Of the column that counts images. */
const LARGEST_NUMBER = 0x7fffffff;

export class Janitor implements JanitorStore {
  readonly #database: Database;
  readonly #reads: LongReads;

  constructor(database: Database, reads: LongReads) {
    this.#database = database;
    this.#reads = reads;
  }

  state(): Promise<JanitorState> {
    return this.#database.read(async (db) => {
      const row = await db.selectFrom('janitor').selectAll().executeTakeFirstOrThrow();
      const ran = row.last_run_at_ms === null ? {} : { lastRunAtMs: row.last_run_at_ms };
      return { enabled: row.enabled === 1, usesSeenAtMs: row.uses_seen_at_ms, ...ran };
    });
  }

  setEnabled(enabled: boolean, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const before = await tx.db.selectFrom('janitor').select('enabled').executeTakeFirstOrThrow();
      if (before.enabled === Number(enabled)) return;
      await tx.db
        .updateTable('janitor')
        .set({ enabled: Number(enabled) })
        .execute();
      const act = enabled ? 'janitor.enabled' : 'janitor.disabled';
      tx.event(act, 'janitor', {});
      tx.audit(act, 'janitor', {});
    });
  }

  decide(policy: RetentionPolicy, nowMs: number): Promise<RetentionDecision> {
    return this.#reads.run({ kind: 'retention', policy, nowMs });
  }

  async keepReason(id: ImageId, policy: RetentionPolicy, nowMs: number): Promise<KeepReason | undefined> {
    const row = await this.#database.read((db) => indexRow(db, id));
    if (row === undefined) return undefined;
    return (await this.#reads.run({ kind: 'keep-reason', number: row.number, policy, nowMs })).reason;
  }

  mark(numbers: readonly number[], sweepAfterMs: number, change: Change): Promise<readonly ImageId[]> {
    return this.#database.change(change, async (tx) => {
      const rows = await rowsOf(tx.db, numbers);
      if (rows.length === 0) return [];
      await tx.db
        .insertInto('janitor_marks')
        .values(
          rows.map(({ number }) => ({ number, marked_at_ms: change.atMs, sweep_after_ms: sweepAfterMs })),
        )
        .onConflict((conflict) => conflict.column('number').doNothing())
        .execute();
      const images = rows.map((row) => row.image_id);
      tx.event('janitor.announced', 'janitor', { images, sweepAfterMs });
      tx.audit('janitor.announce', 'janitor', { images, sweepAfterMs });
      return images;
    });
  }

  unmark(numbers: readonly number[], change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const rows = await rowsOf(tx.db, numbers);
      if (rows.length === 0) return;
      await tx.db
        .deleteFrom('janitor_marks')
        .where(
          'number',
          'in',
          rows.map((row) => row.number),
        )
        .execute();
      const images = rows.map((row) => row.image_id);
      tx.event('janitor.kept', 'janitor', { images });
      tx.audit('janitor.keep', 'janitor', { images });
    });
  }

  marked(id: ImageId): Promise<MarkedImage | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('janitor_marks')
        .innerJoin('image_index', 'image_index.number', 'janitor_marks.number')
        .select(['marked_at_ms', 'sweep_after_ms'])
        .where('image_index.image_id', '=', id)
        .executeTakeFirst();
      return row && { markedAtMs: row.marked_at_ms, sweepAfterMs: row.sweep_after_ms };
    });
  }

  async announced(page: PageRequest): Promise<Page<AnnouncedImage>> {
    const bounds = pageBounds(page);
    const rows = await this.#database.read((db) =>
      db
        .selectFrom('janitor_marks')
        .innerJoin('image_index', 'image_index.number', 'janitor_marks.number')
        .innerJoin('images', 'images.id', 'image_index.image_id')
        .select(['janitor_marks.number', 'marked_at_ms', 'sweep_after_ms', 'images.id', 'images.component'])
        .select('images.version')
        .where('janitor_marks.number', '<', Math.min(bounds.before, LARGEST_NUMBER))
        .orderBy('janitor_marks.number', 'desc')
        .limit(bounds.fetch)
        .execute(),
    );
    return pageOf(
      rows,
      bounds,
      (row) => row.number,
      (shown) =>
        shown.map(({ id, component, version, marked_at_ms, sweep_after_ms }) => ({
          image: id,
          component,
          version,
          markedAtMs: marked_at_ms,
          sweepAfterMs: sweep_after_ms,
        })),
    );
  }

  restore(id: ImageId, change: Change): Promise<boolean> {
    return this.#database.change(change, async (tx) => {
      const row = await indexRow(tx.db, id);
      if (row === undefined) return false;
      const marked = await tx.db
        .deleteFrom('janitor_marks')
        .where('number', '=', row.number)
        .executeTakeFirst();
      if (marked.numDeletedRows === 0n) return false;
      await tx.db
        .updateTable('image_index')
        .set({ used_at_ms: change.atMs })
        .where('number', '=', row.number)
        .execute();
      tx.event('janitor.restored', id, {});
      tx.audit('janitor.restore', id, {});
      return true;
    });
  }

  sweep(
    numbers: readonly number[],
    policy: RetentionPolicy,
    change: Change,
  ): Promise<ReadonlyMap<number, SweepOutcome>> {
    return this.#database.change(change, (tx) => sweepImages(tx, numbers, policy));
  }

  /** Of all groups that want instances; tells the janitor that somebody looks. */
  noteUses(atMs: number): Promise<void> {
    return this.#database.coordinate(async (db) => {
      const { groups } = await references(db, 0);
      for (let from = 0; from < groups.length; from += AT_A_TIME) {
        await db
          .updateTable('image_index')
          .set({ used_at_ms: atMs })
          .where('image_id', 'in', groups.slice(from, from + AT_A_TIME))
          .execute();
      }
      await db.updateTable('janitor').set({ uses_seen_at_ms: atMs }).execute();
    });
  }

  finishRun(referenceCount: number, atMs: number): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('janitor')
        .set({ last_run_at_ms: atMs, last_references: referenceCount })
        .execute();
    });
  }

  sweptArtifacts(after?: Pick<SweptArtifact, 'image' | 'position'>): Promise<readonly SweptArtifact[]> {
    return this.#database.read(async (db) => {
      let query = db
        .selectFrom('swept_artifacts')
        .innerJoin('images', 'images.id', 'swept_artifacts.image_id')
        .select(['image_id', 'position', 'component', 'swept_artifacts.body']);
      if (after !== undefined) {
        query = query.where((row) =>
          row.or([
            row('image_id', '>', after.image),
            row.and([row('image_id', '=', after.image), row('position', '>', after.position)]),
          ]),
        );
      }
      const rows = await query.orderBy('image_id').orderBy('position').limit(AT_A_TIME).execute();
      return rows.map((row) => ({
        image: row.image_id,
        component: row.component,
        position: row.position,
        artifact: fromJson<Artifact>(row.body),
      }));
    });
  }

  forgetArtifacts(gone: readonly SweptArtifact[]): Promise<void> {
    return this.#database.coordinate(async (db) => {
      for (const { image, position } of gone) {
        await db
          .deleteFrom('swept_artifacts')
          .where('image_id', '=', image)
          .where('position', '=', position)
          .execute();
      }
    });
  }
}

function indexRow(db: Reader, id: ImageId): Promise<ImageIndexTable | undefined> {
  return db.selectFrom('image_index').selectAll().where('image_id', '=', id).executeTakeFirst();
}

async function rowsOf(
  db: Reader,
  numbers: readonly number[],
): Promise<readonly Pick<ImageIndexTable, 'number' | 'image_id'>[]> {
  if (numbers.length === 0) return [];
  return db.selectFrom('image_index').select(['number', 'image_id']).where('number', 'in', numbers).execute();
}
