import type { Change } from '../domain/change.ts';
import type { ImageId } from '../domain/ids.ts';
import type { RebakeStore } from '../domain/ports/rebakes.ts';
import type { RebakeOutcome, RebakeRecord } from '../domain/rebake.ts';
import type { Database } from './database.ts';
import { requireImage } from './images.ts';
import { fromJson, toJson } from './json.ts';
import type { RebakeTable } from './tables/images.ts';

const AT_A_TIME = 500;

export class Rebakes implements RebakeStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  record({ image, onto, outcome }: Omit<RebakeRecord, 'atMs'>, change: Change): Promise<void> {
    const body = toJson(outcome);
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, image);
      const values = {
        ordinal: tx.revision,
        at_ms: tx.atMs,
        failed: Number(outcome.kind === 'failed'),
        body,
      };
      await tx.db
        .insertInto('rebakes')
        .values({ image_id: image, onto, ...values })
        .onConflict((conflict) => conflict.columns(['image_id', 'onto']).doUpdateSet(values))
        .execute();
      const data = { onto, ...outcome };
      tx.event(outcome.kind === 'failed' ? 'rebake.failed' : 'rebake.made', image, data);
      tx.audit('image.rebake', image, data);
    });
  }

  async of(images: readonly ImageId[]): Promise<readonly RebakeRecord[]> {
    const found: RebakeRecord[] = [];
    for (let from = 0; from < images.length; from += AT_A_TIME) {
      const some = images.slice(from, from + AT_A_TIME);
      const rows = await this.#database.read((db) =>
        db.selectFrom('rebakes').selectAll().where('image_id', 'in', some).orderBy('ordinal').execute(),
      );
      found.push(...rows.map(asRecord));
    }
    return found;
  }

  list(limit: number): Promise<readonly RebakeRecord[]> {
    return this.#database.read(async (db) => {
      const rows = await db
        .selectFrom('rebakes')
        .selectAll()
        .orderBy('ordinal', 'desc')
        .limit(limit)
        .execute();
      return rows.map(asRecord);
    });
  }

  retry(image: ImageId, change: Change): Promise<number> {
    return this.#database.change(change, async (tx) => {
      const failed = await tx.db
        .deleteFrom('rebakes')
        .where('image_id', '=', image)
        .where('failed', '=', 1)
        .returning('onto')
        .execute();
      if (failed.length === 0) return 0;
      tx.event('rebake.retried', image, {});
      tx.audit('image.retry-rebake', image, {});
      return failed.length;
    });
  }
}

function asRecord(row: RebakeTable): RebakeRecord {
  return {
    image: row.image_id,
    onto: row.onto,
    outcome: fromJson<RebakeOutcome>(row.body),
    atMs: row.at_ms,
  };
}
