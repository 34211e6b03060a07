/**
 * Divides a tree into layers so that a small change rewrites a small layer. Pure: the same tree always divides in
 * the same way, and what one package holds moves no other package.
 *
 * The unit is a package of a dependency folder, or a folder of the app's own. Each family is a trie over the hashes
 * of its units' names: a node that is too large is split by the next bit. So only the node that grew is split, where a
 * plain bucket count would have moved everything. A unit that is too large alone is cut file by file.
 */
import { createHash } from 'node:crypto';
import { headerBytes, paddedBytes } from '../tar/tar-header.ts';
import { entryLine, type KnownEntry, parentOf, type TreeEntry } from './tree.ts';

const MIB = 1024 * 1024;
const ENTRY_BYTES = 512;
const HASH_BITS = 32;
/** Part of every membership: raised when the same entries would give other bytes. */
const LAYER_FORMAT = 'kiln-layer-1';

export type Family = 'dependencies' | 'app';

export interface LayerLimits {
  readonly dependencies: number;
  readonly app: number;
}

/** What an edit rewrites at most, in bytes. The app's own files change most often. */
const LAYER_LIMITS: LayerLimits = { dependencies: 64 * MIB, app: 16 * MIB };

export interface Layer<Entry extends TreeEntry = TreeEntry> {
  readonly family: Family;
  readonly entries: readonly Entry[];
  readonly sizeBytes: number;
}

interface Unit {
  readonly family: Family;
  readonly hash: number;
  sizeBytes: number;
  layer: number;
}

/** @param entries in the order of their paths; layers keep it */
export function divideIntoLayers<Entry extends TreeEntry>(
  entries: readonly Entry[],
  limits: LayerLimits = LAYER_LIMITS,
): Layer<Entry>[] {
  const units = collectUnits(entries);
  const layers: { family: Family; entries: Entry[]; sizeBytes: number }[] = [];
  for (const family of ['dependencies', 'app'] as const) {
    const own = [...units.byName.values()].filter((unit) => unit.family === family);
    for (const leaf of leaves(own, limits[family], HASH_BITS - 1)) {
      for (const unit of leaf) unit.layer = layers.length;
      layers.push({ family, entries: [], sizeBytes: 0 });
    }
  }
  for (const [index, entry] of entries.entries()) {
    const layer = layers[units.byEntry[index]?.layer ?? 0];
    layer?.entries.push(entry);
    if (layer !== undefined) layer.sizeBytes += bytesOf(entry);
  }
  return layers.flatMap((layer) => cutFileByFile(layer, limits[layer.family]));
}

function collectUnits(entries: readonly TreeEntry[]): { byName: Map<string, Unit>; byEntry: Unit[] } {
  const byName = new Map<string, Unit>();
  const byParent = new Map<string, Unit>();
  const byEntry = entries.map((entry) => {
    const parent = parentOf(entry.path);
    let unit = byParent.get(parent);
    if (unit === undefined) {
      const { family, name } = unitOf(parent);
      unit = byName.get(name) ?? { family, hash: hashOf(name), sizeBytes: 0, layer: 0 };
      byName.set(name, unit);
      byParent.set(parent, unit);
    }
    unit.sizeBytes += bytesOf(entry);
    return unit;
  });
  return { byName, byEntry };
}

function leaves(units: readonly Unit[], limitBytes: number, bit: number): Unit[][] {
  if (units.length === 0) return [];
  const total = units.reduce((sum, unit) => sum + unit.sizeBytes, 0);
  if (total <= limitBytes || units.length === 1 || bit < 0) return [[...units]];
  const zeros = units.filter((unit) => ((unit.hash >>> bit) & 1) === 0);
  const ones = units.filter((unit) => ((unit.hash >>> bit) & 1) === 1);
  return [...leaves(zeros, limitBytes, bit - 1), ...leaves(ones, limitBytes, bit - 1)];
}

function cutFileByFile<Entry extends TreeEntry>(layer: Layer<Entry>, limitBytes: number): Layer<Entry>[] {
  if (layer.sizeBytes <= limitBytes) return [layer];
  const cuts: { family: Family; entries: Entry[]; sizeBytes: number }[] = [];
  for (const entry of layer.entries) {
    const bytes = bytesOf(entry);
    let last = cuts.at(-1);
    if (last === undefined || last.sizeBytes + bytes > limitBytes) {
      last = { family: layer.family, entries: [], sizeBytes: 0 };
      cuts.push(last);
    }
    last.entries.push(entry);
    last.sizeBytes += bytes;
  }
  return cuts;
}

/** The unit that files of this folder belong to. */
export function unitOf(folder: string): { family: Family; name: string } {
  const segments = folder === '' ? [] : folder.split('/');
  const sitePackages = segments.lastIndexOf('site-packages');
  if (sitePackages !== -1) return dependency(segments, sitePackages + 2);
  for (const [index, segment] of segments.entries()) {
    if (segment === 'node_modules' || segment === 'bower_components') {
      return dependency(segments, index + (segments[index + 1]?.startsWith('@') ? 3 : 2));
    }
    if (segment === '.venv' || segment === 'venv') return dependency(segments, index + 1);
    if (segment === 'vendor') {
      // vendor/bundle/ruby/3.3.0/gems/<gem>, and vendor/<organisation>/<package> of Composer and Go.
      return dependency(segments, index + (segments[index + 1] === 'bundle' ? 6 : 3));
    }
  }
  return { family: 'app', name: `app:${folder}` };
}

function dependency(segments: readonly string[], count: number): { family: Family; name: string } {
  return { family: 'dependencies', name: `dependencies:${segments.slice(0, count).join('/')}` };
}

function hashOf(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0);
}

function bytesOf(entry: TreeEntry): number {
  return ENTRY_BYTES + paddedBytes(entry.sizeBytes);
}

/** Equal memberships give equal bytes, so a layer that is known by its membership is never written again. */
export function membershipOf(entries: readonly KnownEntry[]): string {
  return createHash('sha256')
    .update(`${LAYER_FORMAT}\n${entries.map(entryLine).join('')}`)
    .digest('hex');
}

/** Where each entry's content stands in the layer that holds just these entries. */
export function contentOffsets(entries: readonly TreeEntry[], prefix: string): number[] {
  let offset = 0;
  return entries.map((entry) => {
    const start = offset + headerBytes({ ...entry, path: `${prefix}/${entry.path}` });
    offset = start + paddedBytes(entry.sizeBytes);
    return start;
  });
}
