/** Whether symlinks stay inside their tree. Pure. */
import { KilnError } from '../../domain/errors.ts';
import { parentOf, type TreeEntry } from './tree.ts';

const HOPS_LIMIT = 40;

/** Fails with `path.escapes` at the first symlink that leads out of the tree, by itself or through others. */
export function assertLinksStayInside(entries: readonly TreeEntry[]): void {
  const links = new Map<string, string>();
  for (const entry of entries) if (entry.kind === 'symlink') links.set(entry.path, entry.link);
  for (const [path, target] of links) {
    if (!staysInside(path, target, links)) {
      throw new KilnError(
        'path.escapes',
        `The symlink "${path}" leads out of the component, to "${target}".`,
        {
          next: 'Make it point inside by a relative path, or exclude it under image.exclude in kiln.yaml.',
          details: { path, target },
        },
      );
    }
  }
}

/** Follows the target as a kernel would, but over the tree's own links. A dangling link inside is fine. */
export function staysInside(path: string, target: string, links: ReadonlyMap<string, string>): boolean {
  if (target.startsWith('/')) return false;
  let place = parentOf(path) === '' ? [] : parentOf(path).split('/');
  const pending = target.split('/').reverse();
  for (let hops = 0; pending.length > 0; ) {
    const segment = pending.pop();
    if (segment === undefined || segment === '' || segment === '.') continue;
    if (segment === '..') {
      if (place.length === 0) return false;
      place = place.slice(0, -1);
      continue;
    }
    const link = links.get([...place, segment].join('/'));
    if (link === undefined) {
      place = [...place, segment];
      continue;
    }
    hops += 1;
    // A loop resolves to nothing, so it leads nowhere.
    if (hops > HOPS_LIMIT) return true;
    if (link.startsWith('/')) return false;
    pending.push(...link.split('/').reverse());
  }
  return true;
}
