/** What a search finds, and how it is paged. */
import { KilnError } from '../../domain/errors.ts';
import type { ImageId } from '../../domain/ids.ts';
import type { Reader } from '../engine.ts';
import type { Bits } from './bits.ts';

export interface Found {
  /** In the order asked for. */
  readonly ids: readonly ImageId[];
  readonly cursor?: string;
}

export interface SearchPage {
  readonly limit: number;
  readonly cursor?: string;
}

/** Sets of image numbers by their chunk. */
export type ChunkSets = ReadonlyMap<number, Bits>;

/** One more than the limit may be given: it tells whether another page follows. */
export async function pageOf(
  db: Reader,
  numbers: readonly number[],
  limit: number,
  cursorAt: (last: number) => string,
): Promise<Found> {
  const shown = numbers.slice(0, limit);
  const last = shown.at(-1);
  if (last === undefined) return { ids: [] };
  const rows = await db
    .selectFrom('image_index')
    .select(['number', 'image_id'])
    .where('number', 'in', shown)
    .execute();
  const ids = new Map(rows.map((row) => [row.number, row.image_id]));
  const cursor =
    numbers.length > limit ? { cursor: Buffer.from(`q${cursorAt(last)}`).toString('base64url') } : {};
  return { ids: shown.flatMap((number) => ids.get(number) ?? []), ...cursor };
}

/** What `pageOf` was given for the last of the page before. */
export function cursorText(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (text.startsWith('q') && Buffer.from(text).toString('base64url') === cursor) return text.slice(1);
  throw noCursor(cursor);
}

export function noCursor(cursor: string): KilnError {
  return new KilnError('input.invalid', `"${cursor}" is not a cursor of this list.`, {
    next: 'Pass the cursor of the last answer as it was, with the same query, or none for the first page.',
  });
}
