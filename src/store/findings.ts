import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Finding, FindingSet, Waiver } from '../domain/finding.ts';
import type { ImageId } from '../domain/ids.ts';
import type { FindingStore } from '../domain/ports/findings.ts';
import type { Database } from './database.ts';
import { requireImage } from './images.ts';
import { fromJson, toJson } from './json.ts';

export class Findings implements FindingStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  put(image: ImageId, source: string, findings: readonly Finding[], change: Change): Promise<boolean> {
    const body = toJson(findings);
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, image);
      const row = await tx.db
        .selectFrom('image_findings')
        .select('body')
        .where('image_id', '=', image)
        .where('source', '=', source)
        .executeTakeFirst();
      if (row?.body === body) return false;
      const values = { image_id: image, source, at_ms: change.atMs, body };
      await tx.db
        .insertInto('image_findings')
        .values(values)
        .onConflict((conflict) =>
          conflict.columns(['image_id', 'source']).doUpdateSet({ at_ms: change.atMs, body }),
        )
        .execute();
      tx.event('image.findings', image, { source, findings: findings.length });
      return true;
    });
  }

  of(image: ImageId): Promise<readonly FindingSet[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('image_findings')
        .selectAll()
        .where('image_id', '=', image)
        .orderBy('source')
        .execute();
      return rows.map((row) => ({
        image: row.image_id,
        source: row.source,
        atMs: row.at_ms,
        findings: fromJson<readonly Finding[]>(row.body),
      }));
    });
  }

  waive(waiver: Omit<Waiver, 'id' | 'by' | 'createdAtMs'>, change: Change): Promise<Waiver> {
    return this.#database.change(change, async (tx) => {
      const id = `w${tx.revision}`;
      const made: Waiver = { ...waiver, id, by: change.actor, createdAtMs: change.atMs };
      await tx.db
        .insertInto('waivers')
        .values({ id, ordinal: tx.revision, body: toJson(made) })
        .execute();
      tx.event('waiver.created', id, { finding: waiver.finding });
      tx.audit('waiver.create', id, { ...waiver });
      return made;
    });
  }

  waivers(): Promise<readonly Waiver[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('waivers').selectAll().orderBy('ordinal', 'desc').execute();
      return rows.map((row) => fromJson<Waiver>(row.body));
    });
  }

  endWaiver(id: string, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const row = await tx.db.deleteFrom('waivers').where('id', '=', id).returning('body').executeTakeFirst();
      if (row === undefined) {
        throw new KilnError('not-found', `There is no waiver ${id}.`, { next: 'Run: kiln scan --waivers' });
      }
      tx.event('waiver.deleted', id, {});
      tx.audit('waiver.delete', id, { finding: fromJson<Waiver>(row.body).finding });
    });
  }
}
