import type { Image } from '../../domain/image.ts';
import type { Writer } from '../engine.ts';
import type { ImageIndexTable } from '../tables/catalogue.ts';
import { chunkOf } from './bits.ts';
import { clearTerms } from './postings.ts';
import { edgeTerm, FAILED, OUTDATED, REVOKED, TESTED, termsOf } from './terms.ts';
import { removePlaces } from './version-blocks.ts';

export interface IndexedImage {
  readonly row: ImageIndexTable;
  readonly image: Omit<Image, 'checks'>;
}

/** Takes images out of the index that no channel holds and nothing was baked from but others of them. */
export async function unindexImages(tx: Writer, gone: readonly IndexedImage[]): Promise<void> {
  for (const [chunk, some] of Map.groupBy(gone, ({ row }) => chunkOf(row.number))) {
    const numbers = new Map<string, number[]>();
    for (const one of some) {
      for (const term of termsUnder(one)) {
        const under = numbers.get(term);
        if (under === undefined) numbers.set(term, [one.row.number]);
        else under.push(one.row.number);
      }
    }
    await clearTerms(tx, chunk, numbers);
  }
  for (const [component, some] of Map.groupBy(gone, ({ row }) => row.component)) {
    await removePlaces(
      tx,
      component,
      some.map(({ row }) => row),
    );
  }
  const numbers = gone.map(({ row }) => row.number);
  await tx.deleteFrom('image_edges').where('parent', 'in', numbers).execute();
  await tx.deleteFrom('image_index').where('number', 'in', numbers).execute();
}

function* termsUnder({ row, image }: IndexedImage): Iterable<string> {
  yield* termsOf(image);
  yield* [TESTED, FAILED, REVOKED, OUTDATED];
  if (row.parent !== null && row.base !== null) yield edgeTerm(row.parent, row.base);
}
