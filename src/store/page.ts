/** Keyset paging by ordinal, newest first: a page never shifts when rows are added while it is read. */
import { KilnError } from '../domain/errors.ts';
import type { ComponentName, EnvironmentName } from '../domain/ids.ts';
import type { Page, PageRequest } from '../domain/page.ts';

const LARGEST_PAGE = 1000;

export interface PageBounds {
  /** Rows of the page have a smaller ordinal than this. */
  readonly before: number;
  readonly limit: number;
  /** Ask for this many rows: one more than the page holds tells whether another page follows. */
  readonly fetch: number;
}

export function pageBounds(page: PageRequest): PageBounds {
  if (!Number.isInteger(page.limit) || page.limit < 1) {
    throw new KilnError('input.invalid', `A page of ${page.limit} items cannot be read.`, {
      next: 'Ask for at least one item.',
    });
  }
  const limit = Math.min(page.limit, LARGEST_PAGE);
  const before = page.cursor === undefined ? Number.MAX_SAFE_INTEGER : readCursor(page.cursor);
  return { before, limit, fetch: limit + 1 };
}

/** Cuts the extra row off and names where the next page begins. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  bounds: PageBounds,
  ordinalOf: (row: Row) => number,
  items: (rows: readonly Row[]) => readonly Item[],
): Page<Item> {
  const shown = rows.slice(0, bounds.limit);
  const last = shown.at(-1);
  const more = rows.length > bounds.limit && last !== undefined;
  return { items: items(shown), ...(more ? { cursor: writeCursor(ordinalOf(last)) } : {}) };
}

/** As `pageOf`, for rows that become an item each and have their ordinal. */
export function pageByOrdinal<Row extends { readonly ordinal: number }, Item>(
  rows: readonly Row[],
  bounds: PageBounds,
  asItem: (row: Row) => Item,
): Page<Item> {
  return pageOf(
    rows,
    bounds,
    (row) => row.ordinal,
    (shown) => shown.map(asItem),
  );
}

/** Which releases or deployments a list is of, as columns and values; empty: all of them. */
export function serviceColumns(filter: { component?: ComponentName; environment?: EnvironmentName }): {
  component?: ComponentName;
  environment?: EnvironmentName;
} {
  const { component, environment } = filter;
  return {
    ...(component === undefined ? {} : { component }),
    ...(environment === undefined ? {} : { environment }),
  };
}

function writeCursor(ordinal: number): string {
  return Buffer.from(String(ordinal)).toString('base64url');
}

function readCursor(cursor: string): number {
  const text = Buffer.from(cursor, 'base64url').toString();
  if (/^\d{1,15}$/.test(text) && writeCursor(Number(text)) === cursor) return Number(text);
  throw new KilnError('input.invalid', `"${cursor}" is not a cursor of this list.`, {
    next: 'Pass the cursor of the last answer as it was, or none for the first page.',
  });
}
