import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { checkStandardAnswer } from '../domain/service-standard.ts';
import { componentJsonSchema } from './json-schema.ts';
import { parseComponent } from './parse.ts';

const DOCS = path.join(import.meta.dirname, '../../docs');
const guide = readFileSync(path.join(DOCS, 'kiln-yaml.md'), 'utf8');
const standard = readFileSync(path.join(DOCS, 'service-standard.md'), 'utf8');

function blocks(text: string, language: string): readonly string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, kind, body]) =>
    kind === language && body !== undefined ? [body] : [],
  );
}

test.each(blocks(guide, 'yaml').map((text, index) => [index, text] as const))(
  'example %i of kiln-yaml.md has no faults',
  (_, text) => {
    parseComponent(text, 'kiln.yaml');
  },
);

test('every field of the schema is in kiln-yaml.md', () => {
  const keys = new Set<string>();
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(Reflect.get(node, 'properties') ?? {})) keys.add(key);
    for (const child of Object.values(node)) visit(child);
  };
  visit(componentJsonSchema());
  expect([...keys].filter((key) => !new RegExp(`\\b${key}\\b`).test(guide))).toEqual([]);
});

test('the answers shown in service-standard.md fit the standard', () => {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  const [status = '', healthcheck = '', config = ''] = blocks(standard, 'json');
  expect(checkStandardAnswer('status', 200, headers, status)).toEqual([]);
  expect(checkStandardAnswer('healthcheck', 200, headers, healthcheck)).toEqual([]);
  expect(checkStandardAnswer('config', 200, headers, config)).toEqual([]);
});
