/**
 * What was last known of the files of a source folder, so that unchanged ones are only looked at. A cache in the
 * state directory, one file for each folder: lost or damaged, everything is read again.
 *
 * A file is taken as unchanged when size, mode, inode, device, mtime and ctime are equal. ctime cannot be set back,
 * so an edit that puts the old mtime back is noticed. What changed too shortly before the scan could change again
 * within the same tick of the file system's clock and look equal; it is not remembered, as git does it.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { isMissing } from '../../files/system-error.ts';
import { scannedEntries } from './columns.ts';
import { KINDS, SCAN_STRIDE } from './tasks.ts';
import type { KnownEntry, TreeEntry } from './tree.ts';

const FORMAT = 1;
const TICK_MS = 20;
/** File systems that keep whole seconds only. */
const COARSE_TICK_MS = 2000;
const FOLDERS_IN_MEMORY = 4;

const fileSchema = z.object({
  format: z.literal(FORMAT),
  root: z.string(),
  paths: z.string(),
  numbers: z.string(),
  links: z.array(z.string()),
  hashes: z.string(),
});

export type KnownFiles = ReadonlyMap<string, TreeEntry>;

export class SourceIndexes {
  readonly #directory: string;
  /** Least recently used first. */
  readonly #inMemory = new Map<string, KnownFiles>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async load(root: string): Promise<KnownFiles> {
    const known = this.#inMemory.get(root) ?? parseIndex(root, await this.#read(root));
    this.#keep(root, known);
    return known;
  }

  /** Keeps it in memory; `save` writes it. */
  remember(root: string, entries: Iterable<KnownEntry>, scannedAtMs: number): void {
    const known = new Map<string, TreeEntry>();
    for (const entry of entries) if (isSettled(entry, scannedAtMs)) known.set(entry.path, entry);
    this.#keep(root, known);
  }

  async save(root: string): Promise<void> {
    const known = this.#inMemory.get(root);
    if (known === undefined) return;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = this.#file(root);
    const staged = `${file}.${process.pid}`;
    await writeFile(staged, formatIndex(root, known), { mode: 0o600 });
    await rename(staged, file);
  }

  #keep(root: string, known: KnownFiles): void {
    this.#inMemory.delete(root);
    this.#inMemory.set(root, known);
    for (const oldest of this.#inMemory.keys()) {
      if (this.#inMemory.size <= FOLDERS_IN_MEMORY) break;
      this.#inMemory.delete(oldest);
    }
  }

  async #read(root: string): Promise<string> {
    try {
      return await readFile(this.#file(root), 'utf8');
    } catch (error) {
      if (isMissing(error)) return '';
      throw error;
    }
  }

  #file(root: string): string {
    return path.join(this.#directory, createHash('sha256').update(root).digest('hex').slice(0, 32));
  }
}

function isSettled(entry: TreeEntry, scannedAtMs: number): boolean {
  if (entry.place.kind !== 'disk') return false;
  const { ctimeMs } = entry.place.stat;
  const tickMs = ctimeMs % 1000 === 0 ? COARSE_TICK_MS : TICK_MS;
  return ctimeMs < scannedAtMs - tickMs;
}

/** The first line is the hash of the rest, so that a file cut short by a crash is not believed. */
function formatIndex(root: string, known: KnownFiles): string {
  const entries = [...known.values()];
  const numbers = new Float64Array(entries.length * SCAN_STRIDE);
  for (const [index, { kind, mode, sizeBytes, place }] of entries.entries()) {
    if (place.kind !== 'disk') continue;
    const { mtimeMs, ctimeMs, inode, device } = place.stat;
    numbers.set([KINDS.indexOf(kind), mode, sizeBytes, mtimeMs, ctimeMs, inode, device], index * SCAN_STRIDE);
  }
  const body = JSON.stringify({
    format: FORMAT,
    root,
    paths: entries.map((entry) => entry.path).join('\0'),
    numbers: Buffer.from(numbers.buffer).toString('base64'),
    links: entries.filter((entry) => entry.kind === 'symlink').map((entry) => entry.link),
    hashes: entries.map((entry) => entry.contentHash ?? '').join(' '),
  } satisfies z.infer<typeof fileSchema>);
  return `${checksum(body)}\n${body}`;
}

function parseIndex(root: string, text: string): KnownFiles {
  const newline = text.indexOf('\n');
  const body = text.slice(newline + 1);
  if (newline === -1 || checksum(body) !== text.slice(0, newline)) return new Map();
  const parsed = fileSchema.safeParse(JSON.parse(body));
  if (!parsed.success || parsed.data.root !== root) return new Map();
  const bytes = Buffer.from(parsed.data.numbers, 'base64');
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const hashes = parsed.data.hashes.split(' ');
  const { paths, links } = parsed.data;
  const entries = scannedEntries(root, { paths, numbers, links, skipped: [] }, new Map());
  return new Map(entries.map((entry, index) => [entry.path, { ...entry, contentHash: hashes[index] ?? '' }]));
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
