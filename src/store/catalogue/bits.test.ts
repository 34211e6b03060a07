import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CHUNK_NUMBERS,
  chunkOf,
  combine,
  countBits,
  decodeBits,
  encodeBits,
  hasBit,
  isEmpty,
  noBits,
  numbersOf,
  setBit,
} from './bits.ts';

const chunk = 3;
const offsets = fc.oneof(
  fc.uniqueArray(fc.nat({ max: CHUNK_NUMBERS - 1 }), { maxLength: 40 }),
  // Dense enough to be kept as bits.
  fc
    .integer({ min: 1, max: 9 })
    .map((step) => Array.from({ length: Math.floor(CHUNK_NUMBERS / step) }, (_, n) => n * step)),
);
const numbers = offsets.map((all) => all.map((one) => chunk * CHUNK_NUMBERS + one).toSorted((a, b) => a - b));

function bitsOf(all: readonly number[]) {
  const bits = noBits();
  for (const one of all) setBit(bits, one, true);
  return bits;
}

test('a set of numbers is what it was after it has been written and read', () => {
  fc.assert(
    fc.property(numbers, (all) => {
      const bits = decodeBits(encodeBits(bitsOf(all)));
      expect(numbersOf(chunk, bits)).toEqual(all);
      expect(countBits(bits)).toBe(all.length);
      expect(isEmpty(bits)).toBe(all.length === 0);
      expect(all.every((one) => hasBit(bits, one) && chunkOf(one) === chunk)).toBe(true);
      expect(encodeBits(bits).length).toBe(Math.min(all.length * 2, CHUNK_NUMBERS / 8));
    }),
    { numRuns: 60 },
  );
});

test('and, or and without are those of sets', () => {
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const [left, right] = [new Set(a), new Set(b)];
      const result = (how: 'and' | 'or' | 'and-not') => numbersOf(chunk, combine(bitsOf(a), bitsOf(b), how));
      expect(result('and')).toEqual(a.filter((one) => right.has(one)));
      expect(result('or')).toEqual([...new Set([...left, ...right])].toSorted((one, two) => one - two));
      expect(result('and-not')).toEqual(a.filter((one) => !right.has(one)));
    }),
    { numRuns: 60 },
  );
});
