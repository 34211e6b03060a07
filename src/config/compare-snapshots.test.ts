import fc from 'fast-check';
import { expect, test } from 'vitest';
import { configChanges } from './compare-snapshots.ts';

const content = fc.record({
  values: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'db_url'), fc.constantFrom('one', 'two', 'three')),
  files: fc.uniqueArray(
    fc.record({ path: fc.constantFrom('app.json', 'x.ini'), content: fc.constantFrom('1', '2') }),
    { selector: ({ path }) => path },
  ),
});

test('every key is named once where it changes, and no value ever', () => {
  fc.assert(
    fc.property(content, content, (from, to) => {
      const { added, removed, changed, files } = configChanges(from, to);
      // What is said leads from the one to the other.
      const keys = new Set(Object.keys(from.values));
      for (const key of removed) expect(keys.delete(key)).toBe(true);
      for (const key of added) expect(keys.size).toBe(keys.add(key).size - 1);
      expect([...keys].sort()).toEqual(Object.keys(to.values).sort());
      for (const key of Object.keys(from.values)) {
        const differs = key in to.values && from.values[key] !== to.values[key];
        expect(changed.includes(key)).toBe(differs);
      }
      const differing = from.files.filter((one) =>
        to.files.some(({ path, content }) => path === one.path && content !== one.content),
      );
      expect(files.filter(({ change }) => change === 'content').map(({ path }) => path)).toEqual(
        differing.map(({ path }) => path).sort(),
      );
      expect(JSON.stringify({ added, removed, changed, files })).not.toMatch(/one|two|three/);
    }),
  );
});

test('a configuration against itself changes nothing', () => {
  fc.assert(
    fc.property(content, (same) => {
      expect(configChanges(same, same)).toEqual({ added: [], removed: [], changed: [], files: [] });
    }),
  );
});
