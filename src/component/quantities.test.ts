import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDurationMs, parsePercent, parseSizeBytes } from './quantities.ts';
import { editDistance, suggest } from './suggest.ts';

test.each([
  ['0s', 0],
  ['500ms', 500],
  ['1.5s', 1500],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
])('%s', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test('what is not a duration, a size, a share', () => {
  for (const text of ['', '5', '5 s', '-5s', 's', '5S', '1e3s', `${'9'.repeat(30)}d`]) {
    expect(parseDurationMs(text), text).toBeUndefined();
  }
  for (const text of ['', '5', '5 MB', '5mb', 'GB']) expect(parseSizeBytes(text), text).toBeUndefined();
  for (const text of ['', '5', '101%', '-1%', '5 %']) expect(parsePercent(text), text).toBeUndefined();
});

test('sizes and shares', () => {
  expect(['1B', '1.5kB', '2MiB', '3GB'].map(parseSizeBytes)).toEqual([1, 1500, 2_097_152, 3_000_000_000]);
  expect(['0%', '12.5%', '100%'].map(parsePercent)).toEqual([0, 12.5, 100]);
});

test('edit distance: a metric of slips, with a swap of neighbours as one', () => {
  expect(editDistance('instanses', 'instances')).toBe(1);
  expect(editDistance('db_ulr', 'db_url')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b) === 0).toBe(a === b);
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(editDistance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
    }),
  );
});

test('a suggestion is near, or there is none', () => {
  const known = ['instances', 'health', 'port'];
  expect(suggest('instanses', known)).toBe('instances');
  expect(suggest('Health', known)).toBe('health');
  expect(suggest('prot', known)).toBe('port');
  expect(suggest('colour', known)).toBeUndefined();
  fc.assert(
    fc.property(fc.constantFrom(...known), fc.nat(), (word, at) => {
      const slipped = word.slice(0, at % word.length) + word.slice((at % word.length) + 1);
      expect(suggest(slipped, known)).toBe(word);
    }),
  );
});
