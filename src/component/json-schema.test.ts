import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { componentJsonSchema, componentJsonSchemaText } from './json-schema.ts';

test('the published schema is the generated one (vitest -u writes it)', async () => {
  await expect(componentJsonSchemaText()).toMatchFileSnapshot('../../schema/kiln.schema.json');
});

test('it is a schema that accepts what Kiln accepts and refuses what it refuses', () => {
  const validate = new Ajv({ strict: false }).compile(componentJsonSchema());
  const file = `component: shop\nx-any: 1\nimage: {run: ./shop}\nservice: {health: /up, stop: {grace: 1m}}`;
  expect(validate(parse(file))).toBe(true);
  for (const wrong of ['component: Shop', 'component: shop\nimages: {}', 'component: shop\nchecks: [../x]']) {
    expect(validate(parse(wrong)), wrong).toBe(false);
  }
});

test('every field says what it is for', () => {
  const silent: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const properties = Reflect.get(node, 'properties');
    for (const [key, field] of Object.entries(properties ?? {})) {
      if (typeof field === 'object' && field !== null && !('description' in field))
        silent.push(`${path}.${key}`);
    }
    for (const [key, child] of Object.entries(node))
      visit(child, key === 'properties' ? path : `${path}.${key}`);
  };
  visit(componentJsonSchema(), '');
  expect(silent).toEqual([]);
});
