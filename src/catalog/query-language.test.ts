import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KilnError } from '../domain/errors.ts';
import {
  ANY_VALUE,
  ARTIFACT_FIELDS,
  type Condition,
  IMAGE_FIELDS,
  type ImageQuery,
} from '../domain/image-query.ts';
import { parseImageQuery } from './query-language.ts';

function refusal(text: string): KilnError {
  try {
    parseImageQuery(text);
  } catch (error) {
    if (error instanceof KilnError) return error;
  }
  throw new Error(`${text} was not refused`);
}

describe('the query language', () => {
  test('reads fields, artifacts, tags, versions, order and limit', () => {
    const text =
      'component=web version>=1.4 env=stage kind=machine region=us-east-1 arch=amd64 outdated=true order=-version limit=1';
    const one = (on: string, name: string, value: string): unknown =>
      on === 'tag'
        ? { on, key: name, values: [value], negated: false }
        : { on, field: name, values: [value], negated: false };
    expect(parseImageQuery(text)).toEqual({
      conditions: [
        one('field', 'component', 'web'),
        one('tag', 'env', 'stage'),
        one('artifact', 'kind', 'machine'),
        one('artifact', 'region', 'us-east-1'),
        one('artifact', 'arch', 'amd64'),
        one('field', 'outdated', 'true'),
      ],
      versions: [{ operator: '>=', version: '1.4' }],
      order: '-version',
      limit: 1,
    });
    expect(parseImageQuery('ubuntu:golden')).toEqual(parseImageQuery('component=ubuntu channel=golden'));
    expect(parseImageQuery('owner="Team A, London",x tag.component!=y').conditions).toEqual([
      { on: 'tag', key: 'owner', values: ['Team A, London', 'x'], negated: false },
      { on: 'tag', key: 'component', values: ['y'], negated: true },
    ]);
    expect(parseImageQuery('  ').conditions).toEqual([]);
  });

  test.each([
    ['component=web versoin>=1', 15, undefined],
    ['componnet=web', 1, /component=web/],
    ['web limit=0', 11, undefined],
    ['web order=verson', 11, /version/],
    ['web tested=yes', 12, undefined],
    ['web env=', 9, undefined],
    ['a=1 "b=2', 5, undefined],
    ['version>1.4', 1, undefined],
    ['env>3', 4, undefined],
    ['web limit=1 limit=2', 13, undefined],
  ])('refuses %s and says where', (text, column, hint) => {
    const error = refusal(text);
    expect(error.code).toBe('input.invalid');
    expect(error.faults[0]?.location?.column).toBe(column);
    if (hint !== undefined) expect(error.next).toMatch(hint);
  });

  test('tells every fault at once', () => {
    expect(refusal('limit=x order=y tested=z').faults).toHaveLength(3);
  });

  const value = fc.stringMatching(/^[a-z0-9 ,._-]{1,12}$/);
  const values = fc.record({
    values: fc.array(value, { minLength: 1, maxLength: 3 }),
    negated: fc.boolean(),
  });
  const flags = new Set(['tested', 'failed', 'revoked', 'outdated']);
  const condition: fc.Arbitrary<Condition> = fc.oneof(
    fc
      .tuple(values, fc.constantFrom(...IMAGE_FIELDS.filter((one) => !flags.has(one))))
      .map(([more, field]): Condition => ({ on: 'field', field, ...more })),
    fc
      .tuple(values, fc.constantFrom(...ARTIFACT_FIELDS))
      .map(([more, field]): Condition => ({ on: 'artifact', field, ...more })),
    fc
      .tuple(values, fc.stringMatching(/^[a-z][a-z.-]{0,8}$/))
      .map(([more, key]): Condition => ({ on: 'tag', key, ...more })),
  );
  const query: fc.Arbitrary<ImageQuery> = fc.record({
    conditions: fc.array(condition, { maxLength: 5 }),
    versions: fc.constant([]),
    order: fc.constantFrom('newest', 'oldest'),
    limit: fc.integer({ min: 1, max: 200 }),
  });

  test('reads back whatever it writes', () => {
    fc.assert(
      fc.property(query, (one) => {
        expect(parseImageQuery(imageQueryText(one))).toEqual(one);
      }),
    );
  });

  test('reads or refuses any text, and never breaks', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        try {
          parseImageQuery(text);
        } catch (error) {
          expect(error).toBeInstanceOf(KilnError);
          expect(error).toMatchObject({ code: 'input.invalid' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

/** The text that means this query. */
function imageQueryText(query: ImageQuery): string {
  const conditions = query.conditions.map((one) => {
    const key = one.on === 'tag' ? `tag.${one.key}` : one.field;
    return `${key}${one.negated ? '!=' : '='}${one.values.map(quoted).join(',')}`;
  });
  const versions = query.versions.map((one) => `version${one.operator}${one.version}`);
  const limit = query.limit === undefined ? [] : [`limit=${query.limit}`];
  return [...conditions, ...versions, `order=${query.order}`, ...limit].join(' ');
}

function quoted(value: string): string {
  return value !== ANY_VALUE && /[\s,]/.test(value) ? `"${value}"` : value;
}
