import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fromJson, type Json, toJson } from './json.ts';

it('gives back what was written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.stringify(fromJson(toJson(value)))).toBe(toJson(value));
      expect(fromJson(toJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

it('writes equal values as equal texts, whatever the order of their keys', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(toJson(reversed)).toBe(toJson(value));
    }),
  );
});

it('says that a row is damaged rather than that it is empty', () => {
  expect(() => fromJson('{"cut' as Json)).toThrow(expect.objectContaining({ code: 'store.damaged' }));
});
