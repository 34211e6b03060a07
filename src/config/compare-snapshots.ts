/** What one configuration changes of another: names alone, because any value may be secret. Pure. */
import type { ConfigSnapshot } from '../domain/release.ts';
import type { ConfigChanges } from '../domain/release-evidence.ts';

type Content = Pick<ConfigSnapshot, 'values' | 'files'>;

export const NO_CONFIG: Content = { values: {}, files: [] };

export function configChanges(from: Content, to: Content): ConfigChanges {
  const keys = compared(new Map(Object.entries(from.values)), new Map(Object.entries(to.values)));
  const files = compared(textByPath(from), textByPath(to));
  return {
    ...keys,
    files: [
      ...files.added.map((path) => ({ path, change: 'added' as const })),
      ...files.removed.map((path) => ({ path, change: 'removed' as const })),
      ...files.changed.map((path) => ({ path, change: 'content' as const })),
    ],
  };
}

function compared(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>) {
  return {
    added: [...to.keys()].filter((key) => !from.has(key)).sort(),
    removed: [...from.keys()].filter((key) => !to.has(key)).sort(),
    changed: [...to.keys()].filter((key) => from.has(key) && from.get(key) !== to.get(key)).sort(),
  };
}

function textByPath({ files }: Content): ReadonlyMap<string, string> {
  return new Map(files.map(({ path, content }) => [path, content]));
}
