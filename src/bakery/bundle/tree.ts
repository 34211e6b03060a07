/** A tree of files as bakes see it: what counts for the image, and where the bytes are now. Pure. */
import type { TarKind } from '../tar/tar-header.ts';

/** What tells an unchanged file without reading it. Times in Unix milliseconds with their fraction. */
export interface FileStat {
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly inode: number;
  readonly device: number;
}

type ContentPlace =
  /** The file `path` under this folder, as it was when scanned. */
  | { readonly kind: 'disk'; readonly root: string; readonly stat: FileStat }
  /** A slice of a layer that is in the blob store. */
  | { readonly kind: 'slice'; readonly file: string; readonly offsetBytes: number };

export interface TreeEntry {
  /** Relative, `/` between segments. */
  readonly path: string;
  readonly kind: TarKind;
  /** Normalised: 0o755 for directories and what its owner may execute, else 0o644; 0o777 for symlinks. */
  readonly mode: number;
  /** 0 for all but files. */
  readonly sizeBytes: number;
  /** Target of a symlink, otherwise empty. */
  readonly link: string;
  /** SHA-256 of the content in hex; undefined until it has been read; empty for all but files. */
  readonly contentHash: string | undefined;
  readonly place: ContentPlace;
}

/** An entry whose content is known. */
export type KnownEntry = TreeEntry & { readonly contentHash: string };

export function isKnown(entry: TreeEntry): entry is KnownEntry {
  return entry.contentHash !== undefined;
}

const BEYOND_BMP_ORDER = /[\ud800-\udfff\ue000-\uffff]/;

/** Order of the UTF-8 bytes. UTF-16 order differs from it only where surrogates meet the end of the BMP. */
export function sortByPath<Item extends { readonly path: string }>(items: readonly Item[]): Item[] {
  const special = items.some((item) => BEYOND_BMP_ORDER.test(item.path));
  return items.toSorted(
    special
      ? (a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))
      : (a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0),
  );
}

/** One line for one entry; equal lines mean that the image cannot tell the entries apart. */
export function entryLine(entry: KnownEntry): string {
  const { kind, mode, sizeBytes, contentHash, link, path } = entry;
  return `${kind} ${mode.toString(8)} ${sizeBytes} ${contentHash}\0${path}\0${link}\n`;
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** Directories that hold nothing of the list are kept as entries; the others follow from their files. */
export function withoutImpliedDirectories(entries: readonly TreeEntry[]): TreeEntry[] {
  const parents = new Set<string>();
  for (const entry of entries) {
    for (
      let parent = parentOf(entry.path);
      parent !== '' && !parents.has(parent);
      parent = parentOf(parent)
    ) {
      parents.add(parent);
    }
  }
  return entries.filter((entry) => entry.kind !== 'directory' || !parents.has(entry.path));
}
