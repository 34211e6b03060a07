/** Looks at a whole source folder, in parallel, with what is known of it from before. */
import { scannedEntries } from './columns.ts';
import { allSettledOrThrow } from './layer-store.ts';
import { listDirectory } from './scan.ts';
import { isDependencyFolder, Selection, type SelectionRules } from './selection.ts';
import type { KnownFiles } from './source-index.ts';
import { sortByPath, type TreeEntry } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

export interface ScannedTree {
  /** In the order of their paths; directories too. */
  readonly entries: readonly TreeEntry[];
  /** Sockets, pipes and devices. */
  readonly skipped: readonly string[];
}

/** Units of work for each thread: few, since each costs a message, and more than one, for balance. */
const BATCHES_PER_THREAD = 2;

export async function scanTree(
  root: string,
  rules: SelectionRules,
  known: KnownFiles,
  pool: WorkerPool,
  signal: AbortSignal,
): Promise<ScannedTree> {
  const units = cutIntoUnits(root, new Selection(rules));
  const batches = balance(units, known, pool.threads * BATCHES_PER_THREAD);
  const entries: TreeEntry[] = [];
  const skipped: string[] = [];
  await allSettledOrThrow(
    batches.map(async (batch) => {
      const result = await pool.run({ kind: 'scan', root, units: batch, rules }, signal);
      for (const entry of scannedEntries(root, result, known)) entries.push(entry);
      skipped.push(...result.skipped);
    }),
  );
  for (const folder of units.opened) entries.push(openedFolder(root, folder));
  return { entries: sortByPath(entries), skipped: skipped.toSorted() };
}

interface Units {
  readonly units: readonly string[];
  /** Folders whose children are units of their own. */
  readonly opened: readonly string[];
}

/** The children of the root, and those of dependency folders there, which hold most of the files. */
function cutIntoUnits(root: string, selection: Selection): Units {
  const units: string[] = [];
  const opened: string[] = [];
  for (const child of listDirectory(root, '')) {
    const standing = selection.standing(child.name, child.name, { inDependencies: false, inLitter: false });
    if (standing !== 'in' || !child.isDirectory() || !isDependencyFolder(child.name)) {
      units.push(child.name);
      continue;
    }
    opened.push(child.name);
    for (const inner of listDirectory(root, child.name)) units.push(`${child.name}/${inner.name}`);
  }
  return { units, opened };
}

function openedFolder(root: string, folder: string): TreeEntry {
  const stat = { mtimeMs: 0, ctimeMs: 0, inode: 0, device: 0 };
  return {
    path: folder,
    kind: 'directory',
    mode: 0o755,
    sizeBytes: 0,
    link: '',
    contentHash: '',
    place: { kind: 'disk', root, stat },
  };
}

/** Heaviest first, each to the lightest batch. How many files a unit has is known from the last time. */
function balance({ units }: Units, known: KnownFiles, count: number): string[][] {
  const weights = new Map<string, number>(units.map((unit) => [unit, 1]));
  for (const file of known.keys()) {
    const unit = unitOfFile(file, weights);
    if (unit !== undefined) weights.set(unit, (weights.get(unit) ?? 0) + 1);
  }
  const batches = Array.from({ length: count }, () => ({ weight: 0, units: [] as string[] }));
  for (const [unit, weight] of [...weights].toSorted((a, b) => b[1] - a[1])) {
    const lightest = batches.reduce((least, batch) => (batch.weight < least.weight ? batch : least));
    lightest.weight += weight;
    lightest.units.push(unit);
  }
  return batches.map((batch) => batch.units).filter((batch) => batch.length > 0);
}

function unitOfFile(file: string, units: ReadonlyMap<string, number>): string | undefined {
  const first = file.indexOf('/');
  if (first === -1) return units.has(file) ? file : undefined;
  const top = file.slice(0, first);
  if (units.has(top)) return top;
  const second = file.indexOf('/', first + 1);
  const inner = second === -1 ? file : file.slice(0, second);
  return units.has(inner) ? inner : undefined;
}
