import type { Image } from '../../domain/image.ts';
import type { Writer } from '../engine.ts';
import type { ImageIndexTable } from '../schema.ts';
import { setTerms } from './postings.ts';
import { edgeTerm, OUTDATED, REVOKED, TESTED, termsOf } from './terms.ts';
import { removePlace } from './version-blocks.ts';

/** Takes an image out of the index that no channel holds and nothing was baked from. */
export async function unindexImage(
  tx: Writer,
  row: ImageIndexTable,
  image: Omit<Image, 'checks'>,
): Promise<void> {
  const terms = [...termsOf(image), TESTED, REVOKED, OUTDATED];
  if (row.parent !== null && row.base !== null) terms.push(edgeTerm(row.parent, row.base));
  await setTerms(tx, row.number, terms, false);
  await removePlace(tx, row.component, row.place, row.number);
  await tx.deleteFrom('image_edges').where('parent', '=', row.number).execute();
  await tx.deleteFrom('image_index').where('number', '=', row.number).execute();
}
