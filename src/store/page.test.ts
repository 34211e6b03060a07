import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Page } from '../domain/page.ts';
import { pageBounds, pageOf } from './page.ts';

/** A list as a store has it: rows by ordinal, the newest first. */
function readPage(ordinals: readonly number[], limit: number, cursor?: string): Page<number> {
  const bounds = pageBounds({ limit, ...(cursor === undefined ? {} : { cursor }) });
  const rows = ordinals
    .filter((ordinal) => ordinal < bounds.before)
    .sort((a, b) => b - a)
    .slice(0, bounds.fetch);
  return pageOf(
    rows,
    bounds,
    (row) => row,
    (shown) => shown,
  );
}

it('shows every row once, newest first, even while rows are added', () => {
  const lists = fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }));
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 7 }), (ordinals, limit) => {
      const growing = [...ordinals];
      const seen: number[] = [];
      let cursor: string | undefined;
      do {
        const page = readPage(growing, limit, cursor);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        seen.push(...page.items);
        growing.push(20_000 + growing.length);
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect(seen).toEqual([...ordinals].sort((a, b) => b - a));
    }),
  );
});

it.each(['', 'x', 'MTIz!', Buffer.from('-5').toString('base64url')])('refuses the cursor "%s"', (cursor) => {
  expect(() => pageBounds({ limit: 1, cursor })).toThrow(expect.objectContaining({ code: 'input.invalid' }));
});
