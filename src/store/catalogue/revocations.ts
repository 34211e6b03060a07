/** Marks an image and all that was baked from it as unfit, in one transaction. */
import { KilnError } from '../../domain/errors.ts';
import type { ImageId } from '../../domain/ids.ts';
import type { Revocation } from '../../domain/image.ts';
import type { ChangeTransaction } from '../change.ts';
import type { Reader, Writer } from '../engine.ts';
import { fromJson, toJson } from '../json.ts';
import { numberOf } from './index-image.ts';
import { setTerms } from './postings.ts';
import { FAILED, REVOKED, TESTED } from './terms.ts';

const AT_A_TIME = 500;

/** Answers those that were not revoked before: the image itself first. */
export async function revokeWithDescendants(
  tx: ChangeTransaction,
  id: ImageId,
  why: string,
): Promise<readonly ImageId[]> {
  const family = await withDescendants(tx.db, id);
  const fresh: ImageId[] = [];
  for (const [at, one] of family.entries()) {
    if ((await revocationsOf(tx.db, [one.id])).size > 0) continue;
    const body: Revocation = {
      atMs: tx.atMs,
      by: tx.actor,
      why: at === 0 ? why : `baked from ${id}, which was revoked: ${why}`,
    };
    await tx.db
      .insertInto('image_revocations')
      .values({ image_id: one.id, ordinal: tx.revision, body: toJson(body) })
      .execute();
    await setTerms(tx.db, one.number, [REVOKED], true);
    await setTerms(tx.db, one.number, [TESTED, FAILED], false);
    fresh.push(one.id);
  }
  return fresh;
}

/** Generation by generation. */
async function withDescendants(db: Writer, id: ImageId): Promise<readonly { id: ImageId; number: number }[]> {
  const number = await numberOf(db, id);
  if (number === undefined) return [];
  const family = [{ id, number }];
  let parents = [number];
  while (parents.length > 0) {
    const children: number[] = [];
    for (let from = 0; from < parents.length; from += AT_A_TIME) {
      const rows = await db
        .selectFrom('image_index')
        .select(['number', 'image_id'])
        .where('parent', 'in', parents.slice(from, from + AT_A_TIME))
        .orderBy('number')
        .execute();
      for (const row of rows) {
        children.push(row.number);
        family.push({ id: row.image_id, number: row.number });
      }
    }
    parents = children;
  }
  return family;
}

export async function revocationsOf(
  db: Reader,
  ids: readonly ImageId[],
): Promise<ReadonlyMap<ImageId, Revocation>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom('image_revocations').selectAll().where('image_id', 'in', ids).execute();
  return new Map(rows.map((row) => [row.image_id, fromJson<Revocation>(row.body)]));
}

/** Inside the transaction that would use it: fails with `image.unfit`, so that a revocation takes effect at once. */
export async function refuseRevoked(db: Reader, id: ImageId): Promise<void> {
  const revocation = (await revocationsOf(db, [id])).get(id);
  if (revocation === undefined) return;
  throw new KilnError('image.unfit', `Image ${id} was revoked: ${revocation.why}.`, {
    next: 'Choose another image.',
    details: { image: id },
  });
}
