import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideIntoLayers, membershipOf, unitOf } from './layers.ts';
import { type KnownEntry, sortByPath } from './tree.ts';

const LIMITS = { dependencies: 64_000, app: 16_000 };
const STAT = { mtimeMs: 0, ctimeMs: 0, inode: 0, device: 0 };

function entry(path: string, sizeBytes: number, contentHash = `${path}:${sizeBytes}`): KnownEntry {
  const place = { kind: 'disk', root: '/', stat: STAT } as const;
  return { path, kind: 'file', mode: 0o644, sizeBytes, link: '', contentHash, place };
}

const file = fc.record({
  folder: fc.oneof(
    fc.nat(60).map((n) => `node_modules/p${n}`),
    fc.nat(20).map((n) => `node_modules/@scope/q${n}/lib`),
    fc.nat(30).map((n) => `src/f${n}`),
    fc.constant('src'),
  ),
  name: fc.nat(40).map((n) => `x${n}.js`),
  sizeBytes: fc.nat(30_000),
});
const tree = fc
  .uniqueArray(file, { selector: ({ folder, name }) => `${folder}/${name}`, maxLength: 300, size: 'max' })
  .map((files) =>
    sortByPath(files.map(({ folder, name, sizeBytes }) => entry(`${folder}/${name}`, sizeBytes))),
  );

const memberships = (entries: readonly KnownEntry[]): Set<string> =>
  new Set(divideIntoLayers(entries, LIMITS).map((layer) => membershipOf(layer.entries)));

describe('layers', () => {
  it('hold every entry once, in order, within the limit unless a file alone is larger', () => {
    fc.assert(
      fc.property(tree, (entries) => {
        const layers = divideIntoLayers(entries, LIMITS);
        expect(sortByPath(layers.flatMap((layer) => layer.entries))).toEqual(entries);
        for (const layer of layers) {
          expect(layer.entries).toEqual(sortByPath(layer.entries));
          expect(layer.entries.length === 1 || layer.sizeBytes <= LIMITS[layer.family]).toBe(true);
          const isDependency = layer.entries.every((each) => each.path.startsWith('node_modules/'));
          expect(isDependency).toBe(layer.family === 'dependencies');
        }
      }),
    );
  });

  it('are rewritten only where a file of the same size changed: one', () => {
    fc.assert(
      fc.property(tree, fc.nat(), (entries, pick) => {
        fc.pre(entries.length > 0);
        const at = pick % entries.length;
        const changed = entries.map((each, index) =>
          index === at ? { ...each, contentHash: 'other' } : each,
        );
        const before = memberships(entries);
        const rewritten = [...memberships(changed)].filter((membership) => !before.has(membership));
        expect(rewritten.length).toBe(1);
      }),
    );
  });

  it('that hold no package of the changed kind never move', () => {
    fc.assert(
      fc.property(tree, fc.nat(30_000), (entries, sizeBytes) => {
        const grown = sortByPath([...entries, entry('node_modules/new-package/index.js', sizeBytes)]);
        const app = (all: readonly KnownEntry[]): string[] =>
          divideIntoLayers(all, LIMITS)
            .filter((layer) => layer.family === 'app')
            .map((layer) => membershipOf(layer.entries));
        expect(app(grown)).toEqual(app(entries));
        // A new package adds to one layer, or splits it: all others stay.
        const before = memberships(entries);
        const kept = [...memberships(grown)].filter((membership) => before.has(membership)).length;
        expect(kept).toBeGreaterThanOrEqual(before.size - 1);
      }),
    );
  });

  it('have packages as their units', () => {
    expect(unitOf('node_modules/@s/a/lib')).toEqual({
      family: 'dependencies',
      name: 'dependencies:node_modules/@s/a',
    });
    expect(unitOf('node_modules/a/node_modules/b').name).toBe('dependencies:node_modules/a');
    expect(unitOf('packages/x/node_modules/b/lib').name).toBe('dependencies:packages/x/node_modules/b');
    expect(unitOf('vendor/bundle/ruby/3.3.0/gems/rack/lib').name).toBe(
      'dependencies:vendor/bundle/ruby/3.3.0/gems/rack',
    );
    expect(unitOf('.venv/lib/python3.12/site-packages/flask/x').name).toBe(
      'dependencies:.venv/lib/python3.12/site-packages/flask',
    );
    expect(unitOf('vendor/symfony/http/src').name).toBe('dependencies:vendor/symfony/http');
    expect(unitOf('src/a').family).toBe('app');
    expect(unitOf('').family).toBe('app');
  });
});
