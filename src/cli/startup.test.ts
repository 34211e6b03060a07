/** `kiln status` must answer at once, so what it loads is held small: followed through the static imports. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');

/** Packages and modules that loading this file loads. */
function loadedBy(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, from = ''] of text.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?from\s+'([^']+)'/gm)) {
    if (from.startsWith('.')) loadedBy(path.resolve(path.dirname(file), from), seen);
    else seen.add(from);
  }
  return seen;
}

test('status loads two small packages, and nothing of the server', () => {
  const loaded = new Set([
    ...loadedBy(path.join(root, 'cli/program.ts')),
    ...loadedBy(path.join(root, 'cli/verbs/status.ts')),
  ]);
  const packages = [...loaded].filter((name) => !path.isAbsolute(name) && !name.startsWith('node:'));
  expect(packages.sort()).toEqual(['commander', 'picocolors']);
  const parts = new Set(
    [...loaded]
      .filter((name) => path.isAbsolute(name))
      .map((name) => path.relative(root, name).split('/')[0]),
  );
  expect([...parts].sort()).toEqual(['api', 'cli', 'domain', 'files']);
  expect([...loaded].filter((name) => /http|crypto|child_process/.test(name))).toEqual([]);
});
