/** Turns tree entries into the columns that worker threads take, and back. Pure. */
import { KilnError } from '../../domain/errors.ts';
import { KINDS, PACK_STRIDE, type PackColumns, SCAN_STRIDE, type ScanResult } from './tasks.ts';
import type { FileStat, TreeEntry } from './tree.ts';

const KIND_NUMBER = { file: 0, symlink: 1, directory: 2 } as const;
const SYMLINK = KIND_NUMBER.symlink;

/** @param prefix folder in the archive under which the paths stand, or empty */
export function packColumns(entries: readonly TreeEntry[], prefix: string): PackColumns {
  const numbers = new Float64Array(entries.length * PACK_STRIDE);
  const names: string[] = [];
  const files: string[] = [];
  const links: string[] = [];
  for (const [index, entry] of entries.entries()) {
    const { place } = entry;
    names.push(prefix === '' ? entry.path : `${prefix}/${entry.path}`);
    files.push(place.kind === 'disk' ? `${place.root}/${entry.path}` : place.file);
    links.push(entry.link);
    const at = index * PACK_STRIDE;
    numbers[at] = KIND_NUMBER[entry.kind];
    numbers[at + 1] = entry.mode;
    numbers[at + 2] = entry.sizeBytes;
    if (place.kind === 'slice') {
      numbers[at + 3] = place.offsetBytes;
    } else {
      numbers.set([-1, place.stat.mtimeMs, place.stat.ctimeMs, place.stat.inode, place.stat.device], at + 3);
    }
  }
  return { names: names.join('\0'), numbers, files: files.join('\0'), links: links.join('\0') };
}

/** The entries with the content hashes that a pack task answered, in the same order. */
export function withHashes<Entry extends TreeEntry>(
  entries: readonly Entry[],
  joined: string,
): (Entry & { readonly contentHash: string })[] {
  const hashes = joined.split(' ');
  return entries.map((entry, index) => {
    const contentHash = hashes[index] ?? '';
    if (entry.place.kind === 'slice' && (entry.contentHash ?? contentHash) !== contentHash) {
      throw new KilnError('blob.damaged', `A cached layer does not hold "${entry.path}" as it was made.`, {
        next: `Check the disk, remove ${entry.place.file} and bake again: what it held is then made anew.`,
      });
    }
    return { ...entry, contentHash };
  });
}

/**
 * What a scan saw as entries. A file that looks as `known` remembers it keeps its hash; its very object too, since
 * most bakes find nearly everything unchanged.
 */
export function scannedEntries(
  root: string,
  result: ScanResult,
  known: ReadonlyMap<string, TreeEntry>,
): TreeEntry[] {
  if (result.paths === '') return [];
  const { numbers } = result;
  let nextLink = 0;
  return result.paths.split('\0').map((path, index) => {
    const at = index * SCAN_STRIDE;
    const link = numbers[at] === SYMLINK ? (result.links[nextLink++] ?? '') : '';
    const before = known.get(path);
    return before !== undefined && before.link === link && looksUnchanged(before, numbers, at)
      ? before
      : scannedEntry(root, path, link, numbers, at);
  });
}

function scannedEntry(
  root: string,
  path: string,
  link: string,
  numbers: Float64Array,
  at: number,
): TreeEntry {
  const kind = KINDS[numbers[at] ?? 0] ?? 'file';
  const stat: FileStat = {
    mtimeMs: numbers[at + 3] ?? 0,
    ctimeMs: numbers[at + 4] ?? 0,
    inode: numbers[at + 5] ?? 0,
    device: numbers[at + 6] ?? 0,
  };
  return {
    path,
    kind,
    mode: numbers[at + 1] ?? 0,
    sizeBytes: kind === 'file' ? (numbers[at + 2] ?? 0) : 0,
    link,
    contentHash: kind === 'file' ? undefined : '',
    place: { kind: 'disk', root, stat },
  };
}

/** Compares the columns themselves: making an object first, for each of many unchanged files, costs more. */
function looksUnchanged(before: TreeEntry, numbers: Float64Array, at: number): boolean {
  if (before.place.kind !== 'disk' || KIND_NUMBER[before.kind] !== numbers[at]) return false;
  // What a directory looks like says nothing: its children are entries of their own.
  if (before.kind === 'directory') return true;
  const { stat } = before.place;
  return (
    before.mode === numbers[at + 1] &&
    (before.kind === 'symlink' || before.sizeBytes === numbers[at + 2]) &&
    stat.mtimeMs === numbers[at + 3] &&
    stat.ctimeMs === numbers[at + 4] &&
    stat.inode === numbers[at + 5] &&
    stat.device === numbers[at + 6]
  );
}
