/**
 * The images of a component in the order of their versions, in blocks of some hundred numbers, so that a query walks
 * them without reading a row for each. A block begins with the place of its first image; the first block of a
 * component begins before all places. A place is a version's key and, among equals, the image's number.
 */
import type { Reader, Writer } from '../engine.ts';
import { LITTLE_ENDIAN } from './bits.ts';

const LARGEST_BLOCK = 512;
/** Before every place. */
const FIRST = '';
const NUMBER_DIGITS = 11;

export interface VersionBlock {
  readonly first_place: string;
  /** In order. */
  readonly numbers: readonly number[];
}

/** `\t` comes before all that a version's key is made of. */
export function placeOf(versionKey: string, number: number): string {
  return `${versionKey}\t${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

export async function insertPlace(
  tx: Writer,
  component: string,
  place: string,
  number: number,
): Promise<void> {
  const block = await blockAt(tx, component, place);
  if (block === undefined) {
    await writeBlock(tx, component, { first_place: FIRST, numbers: [number] });
    return;
  }
  const numbers = [...block.numbers];
  numbers.splice(await rankIn(tx, block.numbers, place), 0, number);
  if (numbers.length <= LARGEST_BLOCK) {
    await writeBlock(tx, component, { ...block, numbers });
    return;
  }
  // In half; but a block that only grows at its end, as newer versions come, is left full.
  const at = numbers.at(-1) === number ? numbers.length - 1 : numbers.length >>> 1;
  const second = numbers.slice(at);
  const head = second[0] === number ? place : await placeOfNumber(tx, second[0] ?? number);
  await writeBlock(tx, component, { ...block, numbers: numbers.slice(0, at) });
  await writeBlock(tx, component, { first_place: head ?? place, numbers: second });
}

export async function removePlaces(
  tx: Writer,
  component: string,
  gone: readonly { readonly place: string; readonly number: number }[],
): Promise<void> {
  const left = new Map(gone.map((one) => [one.number, one.place]));
  for (const [number, place] of left) {
    const block = await blockAt(tx, component, place);
    left.delete(number);
    if (block === undefined) continue;
    // All that stand in the same block go with it at once.
    const numbers = block.numbers.filter((one) => one !== number && !left.delete(one));
    await writeOrDrop(tx, component, { ...block, numbers });
  }
}

async function writeOrDrop(tx: Writer, component: string, block: VersionBlock): Promise<void> {
  if (block.numbers.length > 0 || block.first_place === FIRST) return writeBlock(tx, component, block);
  await tx
    .deleteFrom('version_blocks')
    .where('component', '=', component)
    .where('first_place', '=', block.first_place)
    .execute();
}

/** The block that holds the place, or would. */
async function blockAt(db: Reader, component: string, place: string): Promise<VersionBlock | undefined> {
  const row = await db
    .selectFrom('version_blocks')
    .select(['first_place', 'numbers'])
    .where('component', '=', component)
    .where('first_place', '<=', place)
    .orderBy('first_place', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row && { first_place: row.first_place, numbers: decodeNumbers(row.numbers) };
}

/** How many of the numbers stand before the place. */
export async function rankIn(db: Reader, numbers: readonly number[], place: string): Promise<number> {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = await placeOfNumber(db, numbers[middle] ?? 0);
    if (there !== undefined && there < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where the image of a number stands in the order of versions. */
export async function placeOfNumber(db: Reader, number: number): Promise<string | undefined> {
  const row = await db
    .selectFrom('image_index')
    .select('place')
    .where('number', '=', number)
    .executeTakeFirst();
  return row?.place;
}

async function writeBlock(tx: Writer, component: string, block: VersionBlock): Promise<void> {
  const numbers = encodeNumbers(block.numbers);
  await tx
    .insertInto('version_blocks')
    .values({ component, first_place: block.first_place, numbers })
    .onConflict((conflict) => conflict.columns(['component', 'first_place']).doUpdateSet({ numbers }))
    .execute();
}

export function encodeNumbers(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  const view = new DataView(bytes.buffer);
  numbers.forEach((number, at) => {
    view.setUint32(at * 4, number, true);
  });
  return bytes;
}

export function decodeNumbers(bytes: Uint8Array): number[] {
  if (LITTLE_ENDIAN) return Array.from(new Uint32Array(Uint8Array.from(bytes).buffer));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true));
}
