import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ConfigSpec } from '../domain/component.ts';
import { environmentVariable } from '../domain/config-keys.ts';
import { KilnError } from '../domain/errors.ts';
import { componentName, environmentName } from '../domain/ids.ts';
import { environmentVariables, resolveSnapshot, snapshotDigest } from './snapshot.ts';

const config: ConfigSpec = { required: [], values: {}, env: 'all', files: [] };

function resolve(part: Partial<ConfigSpec>, templates: Record<string, string> = {}) {
  return resolveSnapshot({
    component: componentName('shop'),
    version: '1.2.0',
    environment: environmentName('stage/uk'),
    config: { ...config, ...part },
    templates,
  });
}

function failure(run: () => unknown): KilnError {
  try {
    run();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const files = [{ template: 'config/app.liquid', path: 'config/app.json' }];

describe('resolveSnapshot', () => {
  test('renders templates with the values and the names of the release', () => {
    const text =
      '{"url": {{ db_url | json }}, "in": "{{ kiln.level }}/{{ kiln.region }}", "of": "{{ kiln.component }} {{ kiln.version }}"}';
    const snapshot = resolve({ values: { db_url: 'pg://"x"' }, files }, { 'config/app.liquid': text });
    expect(snapshot.files).toEqual([
      { path: 'config/app.json', content: '{"url": "pg://\\"x\\"", "in": "stage/uk", "of": "shop 1.2.0"}' },
    ]);
    expect(snapshot.values).toEqual({ db_url: 'pg://"x"' });
  });

  test('names every missing key, the tree and the template line', () => {
    const error = failure(() =>
      resolve(
        { required: ['a', 'db_url', 'b'], values: { a: '1' }, files },
        { 'config/app.liquid': 'x\n  {{ db_url }}' },
      ),
    );
    expect(error.code).toBe('config.missing-key');
    expect(error.message).toBe(
      'The config of component shop, version 1.2.0, region uk, level stage has no "db_url", "b". config/app.liquid:2:6 uses it.',
    );
    expect(error.faults.map(({ path, location }) => [path, location?.line])).toEqual([
      ['db_url', 2],
      ['b', undefined],
    ]);
  });

  test('a key that only a template asks for is missing too', () => {
    const error = failure(() => resolve({ files }, { 'config/app.liquid': 'a\n{{ cache_key }}' }));
    expect(error.code).toBe('config.missing-key');
    expect(error.message).toContain('"cache_key". config/app.liquid:2:4 uses it');
  });

  test("a missing key is noticed even where Liquid's own words would answer for it", () => {
    const values = { other: 'x' };
    expect(failure(() => resolve({ values, files }, { 'config/app.liquid': '{{ size }}' })).code).toBe(
      'config.missing-key',
    );
    const snapshot = resolve({ values: { size: '7' }, files }, { 'config/app.liquid': '{{ size }}' });
    expect(snapshot.files[0]?.content).toBe('7');
  });

  test('a template may ask for a key that need not be there', () => {
    const text = '{% if debug %}debug{% endif %}{{ width | default: "small" }}';
    expect(resolve({ files }, { 'config/app.liquid': text }).files[0]?.content).toBe('small');
  });

  test.each([
    ['{% if %}', 'config/app.liquid:1:6'],
    ['a\n{{ "x" | nope }}', 'config/app.liquid:2:1: undefined filter: nope'],
    ['{% include "../secret" %}', 'cannot take in other files'],
    ['{{ "now" | date: "%s" }}', 'is not for configuration'],
    ['{% for i in (1..100000000) %}x{% endfor %}', 'limit exceeded'],
  ])('a template that cannot be rendered: %s', (text, said) => {
    const error = failure(() => resolve({ files }, { 'config/app.liquid': text }));
    expect(error.code).toBe('config.template');
    expect(error.message).toContain(said);
  });

  test('a template that was not kept', () => {
    expect(failure(() => resolve({ files })).code).toBe('config.template');
  });

  test('the digest depends on the content and on nothing else', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), fc.string()), (values) => {
        const reversed = Object.fromEntries(Object.entries(values).reverse());
        const one = snapshotDigest({ values, files: [] });
        expect(snapshotDigest({ values: reversed, files: [] })).toBe(one);
        expect(snapshotDigest({ values: { ...values, 'one-more': '' }, files: [] })).not.toBe(one);
        expect(snapshotDigest({ values, files: [{ path: 'a', content: '' }] })).not.toBe(one);
      }),
    );
  });
});

describe('environmentVariables', () => {
  test('all keys, or those that are named', () => {
    const values = { db_url: 'x', 'log-level': 'info' };
    expect(environmentVariables({ env: 'all' }, values)).toEqual({ DB_URL: 'x', LOG_LEVEL: 'info' });
    expect(environmentVariables({ env: ['db_url', 'later'] }, values)).toEqual({ DB_URL: 'x' });
  });

  test('collisions and the variables of the system are refused', () => {
    expect(failure(() => environmentVariables({ env: 'all' }, { 'db-url': '', db_url: '' })).code).toBe(
      'input.conflict',
    );
    for (const key of ['port', 'path', 'kiln_url', 'ld_preload']) {
      expect(failure(() => environmentVariables({ env: 'all' }, { [key]: '' })).code, key).toBe(
        'input.conflict',
      );
    }
  });

  test('every key of kiln.yaml maps to a name that any shell takes, the same each time', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,30}$/), (key) => {
        const variable = environmentVariable(key);
        expect(variable).toMatch(/^[A-Z][A-Z0-9_]*$/);
        expect(environmentVariable(variable)).toBe(variable);
      }),
    );
  });
});
