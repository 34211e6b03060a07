/** The inverted index: for each term the set of images that stand under it, chunk by chunk. */
import { sql } from 'kysely';
import type { Reader, Writer } from '../engine.ts';
import {
  type Bits,
  chunkOf,
  combine,
  decodeBits,
  encodeBits,
  isEmpty,
  noBits,
  setBit,
  soleNumber,
} from './bits.ts';

/** SQLite binds at most 32,766 values in one statement. */
const ROWS_PER_STATEMENT = 500;

export interface Posting {
  readonly term: string;
  readonly chunk: number;
  readonly bits: Bits;
}

/** Puts one image under terms, or takes it away from them. */
export async function setTerms(
  tx: Writer,
  number: number,
  terms: Iterable<string>,
  on: boolean,
): Promise<void> {
  const wanted = [...new Set(terms)];
  const chunk = chunkOf(number);
  for (let from = 0; from < wanted.length; from += ROWS_PER_STATEMENT) {
    const some = wanted.slice(from, from + ROWS_PER_STATEMENT);
    const there = await readPostings(tx, some, chunk, chunk);
    const changed = some.map((term): Posting => {
      const bits = there.find((one) => one.term === term)?.bits ?? noBits();
      setBit(bits, number, on);
      return { term, chunk, bits };
    });
    await writePostings(tx, changed);
  }
}

/** Takes images away from the terms that they stand under; all of them in one chunk. */
export async function clearTerms(
  tx: Writer,
  chunk: number,
  numbers: ReadonlyMap<string, readonly number[]>,
): Promise<void> {
  const wanted = [...numbers.keys()];
  for (let from = 0; from < wanted.length; from += ROWS_PER_STATEMENT) {
    const rows = await postingRows(tx, wanted.slice(from, from + ROWS_PER_STATEMENT), chunk, chunk);
    const emptied: string[] = [];
    const changed: Posting[] = [];
    for (const { term, bits: bytes } of rows) {
      const gone = numbers.get(term) ?? [];
      // Most terms are of one image alone, and need not be unpacked.
      if (gone[0] === soleNumber(chunk, bytes)) emptied.push(term);
      else {
        const bits = decodeBits(bytes);
        for (const number of gone) setBit(bits, number, false);
        changed.push({ term, chunk, bits });
      }
    }
    await deletePostings(tx, emptied, chunk);
    await writePostings(tx, changed);
  }
}

/** All images under one term come under another, or leave it. */
export async function mergeTerm(
  tx: Writer,
  from: string,
  into: string,
  how: 'or' | 'and-not',
): Promise<void> {
  const source = await readPostings(tx, [from], 0, Number.MAX_SAFE_INTEGER);
  for (const { chunk, bits } of source) {
    const [there] = await readPostings(tx, [into], chunk, chunk);
    await writePostings(tx, [{ term: into, chunk, bits: combine(there?.bits ?? noBits(), bits, how) }]);
  }
}

/** In chunks from `low` to `high`, both included. */
export async function readPostings(
  db: Reader,
  terms: readonly string[],
  low: number,
  high: number,
): Promise<readonly Posting[]> {
  const rows = await postingRows(db, terms, low, high);
  return rows.map(({ term, chunk, bits }) => ({ term, chunk, bits: decodeBits(bits) }));
}

async function postingRows(
  db: Reader,
  terms: readonly string[],
  low: number,
  high: number,
): Promise<readonly { readonly term: string; readonly chunk: number; readonly bits: Uint8Array }[]> {
  if (terms.length === 0) return [];
  return db
    .selectFrom('image_postings')
    .selectAll()
    .where('term', 'in', terms)
    .where('chunk', '>=', low)
    .where('chunk', '<=', Math.min(high, 0x7fffffff))
    .execute();
}

async function writePostings(tx: Writer, postings: readonly Posting[]): Promise<void> {
  const kept = postings.filter(({ bits }) => !isEmpty(bits));
  const empty = postings.filter(({ bits }) => isEmpty(bits));
  for (const [chunk, some] of Map.groupBy(empty, (one) => one.chunk)) {
    await deletePostings(
      tx,
      some.map((one) => one.term),
      chunk,
    );
  }
  if (kept.length === 0) return;
  await tx
    .insertInto('image_postings')
    .values(kept.map(({ term, chunk, bits }) => ({ term, chunk, bits: encodeBits(bits) })))
    .onConflict((conflict) =>
      conflict.columns(['term', 'chunk']).doUpdateSet({ bits: sql.ref('excluded.bits') }),
    )
    .execute();
}

async function deletePostings(tx: Writer, terms: readonly string[], chunk: number): Promise<void> {
  if (terms.length === 0) return;
  await tx.deleteFrom('image_postings').where('term', 'in', terms).where('chunk', '=', chunk).execute();
}
