/** Names every file on which two trees differ. Pure. */
import type { BuildDifference } from '../../domain/ports/builder.ts';
import type { KnownEntry } from './tree.ts';

export function compareTrees(
  before: readonly KnownEntry[],
  after: readonly KnownEntry[],
): readonly BuildDifference[] {
  const old = new Map(before.map((entry) => [entry.path, entry]));
  const differences: BuildDifference[] = [];
  for (const entry of after) {
    const was = old.get(entry.path);
    old.delete(entry.path);
    const change = was === undefined ? 'added' : changeOf(was, entry);
    if (change !== undefined) differences.push({ path: entry.path, change });
  }
  for (const path of old.keys()) differences.push({ path, change: 'removed' });
  return differences.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function changeOf(was: KnownEntry, is: KnownEntry): 'content' | 'mode' | undefined {
  if (was.kind !== is.kind || was.contentHash !== is.contentHash || was.link !== is.link) return 'content';
  return was.mode === is.mode || is.kind === 'symlink' ? undefined : 'mode';
}
