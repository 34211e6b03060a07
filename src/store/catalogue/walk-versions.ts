/** Pages through what was found in the order of versions, within bounds, a block at a time. */
import type { ImageQuery } from '../../domain/image-query.ts';
import { versionKey } from '../../domain/version-order.ts';
import type { Reader } from '../engine.ts';
import { type Bits, chunkOf, hasBit } from './bits.ts';
import { type ChunkSets, cursorText, type Found, pageOf, type SearchPage } from './found.ts';
import { decodeNumbers, placeOfNumber, rankIn } from './version-blocks.ts';

/** Blocks read at a time. */
const BLOCKS = [2, 16, 128] as const;

interface Walk {
  readonly component: string;
  readonly query: ImageQuery;
  readonly page: SearchPage;
  readonly found: ChunkSets;
}

/** From `low` (included) to `high` (not included). */
interface Range {
  readonly low: string;
  readonly high: string;
}

/** After every place. */
const END = '\uffff';
/** Added to a block's first place: after it, and before every other. */
const NEXT = '\u0001';
/** Ends the places of one version's key; see `placeOf`. */
const AFTER_NUMBER = '\n';

export async function walkVersions(db: Reader, walk: Walk): Promise<Found> {
  const { component, query, page, found } = walk;
  const downwards = query.order !== 'version';
  const range = rangeOf(query, page.cursor, downwards);
  const numbers: number[] = [];
  if (found.size > 0 && range.low < range.high) {
    for await (const block of blocks(db, component, range, downwards)) {
      const inside = within(block, found);
      numbers.push(...(downwards ? inside.reverse() : inside));
      if (numbers.length > page.limit) break;
    }
  }
  const last = numbers[Math.min(page.limit, numbers.length) - 1];
  const place = last === undefined ? undefined : await placeOfNumber(db, last);
  return pageOf(db, numbers, page.limit, () => place ?? '');
}

/** Numbers next to each other in the order of versions are mostly of one chunk. */
function within(block: readonly number[], found: ChunkSets): number[] {
  const inside: number[] = [];
  let chunk = -1;
  let bits: Bits | undefined;
  for (const number of block) {
    const its = chunkOf(number);
    if (its !== chunk) bits = found.get(its);
    chunk = its;
    if (hasBit(bits, number)) inside.push(number);
  }
  return inside;
}

function rangeOf(query: ImageQuery, cursor: string | undefined, downwards: boolean): Range {
  let [low, high] = ['', END];
  for (const { operator, version } of query.versions) {
    const key = versionKey(version);
    if (operator === '>=') low = larger(low, `${key}\t`);
    if (operator === '>') low = larger(low, `${key}${AFTER_NUMBER}`);
    if (operator === '<') high = smaller(high, `${key}\t`);
    if (operator === '<=') high = smaller(high, `${key}${AFTER_NUMBER}`);
  }
  const place = cursor === undefined ? undefined : cursorText(cursor);
  if (place !== undefined && downwards) high = smaller(high, place);
  if (place !== undefined && !downwards) low = larger(low, `${place}\t`);
  return { low, high };
}

function larger(a: string, b: string): string {
  return a > b ? a : b;
}

function smaller(a: string, b: string): string {
  return a < b ? a : b;
}

/** The numbers within the range, in order of place within each block, the blocks in the order of the walk. */
async function* blocks(
  db: Reader,
  component: string,
  range: Range,
  downwards: boolean,
): AsyncIterable<readonly number[]> {
  let from = (await firstPlaceBefore(db, component, range.low)) ?? range.low;
  let to = range.high;
  for (let step = 0; ; step += 1) {
    const size = BLOCKS[Math.min(step, BLOCKS.length - 1)] ?? 1;
    const rows = await db
      .selectFrom('version_blocks')
      .select(['first_place', 'numbers'])
      .where('component', '=', component)
      .where('first_place', '>=', from)
      .where('first_place', '<', to)
      .orderBy('first_place', downwards ? 'desc' : 'asc')
      .limit(size)
      .execute();
    for (const [at, row] of rows.entries()) {
      const all = decodeNumbers(row.numbers);
      // Only a block at an end of the range may hold places that are not in it.
      const start = row.first_place < range.low ? await rankIn(db, all, range.low) : 0;
      const isUppermost = downwards ? step === 0 && at === 0 : at === rows.length - 1;
      const end = isUppermost && range.high !== END ? await rankIn(db, all, range.high) : all.length;
      yield all.slice(start, end);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < size) return;
    if (downwards) to = last.first_place;
    else from = `${last.first_place}${NEXT}`;
  }
}

async function firstPlaceBefore(db: Reader, component: string, place: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('version_blocks')
    .select('first_place')
    .where('component', '=', component)
    .where('first_place', '<=', place)
    .orderBy('first_place', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.first_place;
}
