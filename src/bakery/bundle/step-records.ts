/**
 * What build steps made before, by the key of all their inputs. A record names layers in the blob store and what
 * they hold, so a step is replayed without running it and without copying a byte.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type Digest, digest as parseDigest } from '../../domain/ids.ts';
import { namesIn } from '../../files/names-in.ts';
import { isMissing } from '../../files/system-error.ts';
import type { FileBlobStore } from '../blobs.ts';
import { APP_PREFIX, type StoredLayer } from './layer-store.ts';
import { contentOffsets } from './layers.ts';
import type { KnownEntry, TreeEntry } from './tree.ts';

const FORMAT = 1;

const RECORDS_IN_MEMORY = 8;

interface ParsedRecord {
  readonly outcome: StepOutcome;
  readonly layers: readonly Digest[];
}

export interface StepOutcome {
  readonly entries: readonly KnownEntry[];
  /** Paths of earlier outputs that the step removed. */
  readonly removed: readonly string[];
}

const entrySchema = z.tuple([
  z.string(),
  z.enum(['file', 'symlink', 'directory']),
  z.number(),
  z.number(),
  z.string(),
  z.string(),
]);

const recordSchema = z.object({
  format: z.literal(FORMAT),
  layers: z.array(
    z.object({
      digest: z.string().transform((text) => parseDigest(text)),
      entries: z.array(entrySchema),
    }),
  ),
  removed: z.array(z.string()),
});

export class StepRecords {
  readonly #directory: string;
  readonly #blobs: FileBlobStore;
  /** Parsed records, least recently used first; their entries stay the same objects from bake to bake. */
  readonly #inMemory = new Map<Digest, ParsedRecord>();

  constructor(directory: string, blobs: FileBlobStore) {
    this.#directory = directory;
    this.#blobs = blobs;
  }

  /** Undefined: the step has to run. */
  async find(key: Digest, nowMs: number): Promise<StepOutcome | undefined> {
    const record = this.#inMemory.get(key) ?? (await this.#parse(key));
    if (record === undefined) return undefined;
    for (const digest of record.layers) if (!(await this.#blobs.has(digest))) return undefined;
    this.#inMemory.delete(key);
    this.#inMemory.set(key, record);
    for (const oldest of this.#inMemory.keys()) {
      if (this.#inMemory.size <= RECORDS_IN_MEMORY) break;
      this.#inMemory.delete(oldest);
    }
    await this.#markUsed(key, nowMs);
    return record.outcome;
  }

  async save(key: Digest, layers: readonly StoredLayer[], removed: readonly string[]): Promise<void> {
    const body = JSON.stringify({
      format: FORMAT,
      layers: layers.map((layer) => ({
        digest: layer.descriptor.digest,
        entries: layer.entries.map((entry) => [
          entry.path,
          entry.kind,
          entry.mode,
          entry.sizeBytes,
          entry.link,
          entry.contentHash,
        ]),
      })),
      removed,
    });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const file = this.#file(key);
    const staged = `${file}.${process.pid}`;
    await writeFile(staged, `${checksum(body)}\n${body}`, { mode: 0o600 });
    await rename(staged, file);
  }

  /** Layers of the records that were used since then; older records are removed. */
  async layersUsedSince(sinceMs: number): Promise<Set<Digest>> {
    const used = new Set<Digest>();
    for (const name of await namesIn(this.#directory)) {
      const file = path.join(this.#directory, name);
      const record = (await stat(file)).mtimeMs >= sinceMs ? await readRecord(file) : undefined;
      if (record === undefined) await rm(file, { force: true });
      for (const layer of record?.layers ?? []) used.add(layer.digest);
    }
    return used;
  }

  async #parse(key: Digest): Promise<ParsedRecord | undefined> {
    const record = await readRecord(this.#file(key));
    if (record === undefined) return undefined;
    const entries: KnownEntry[] = [];
    for (const layer of record.layers) {
      if (!(await this.#blobs.has(layer.digest))) return undefined;
      const archive = await this.#blobs.path(layer.digest);
      for (const entry of layerEntries(archive, layer.entries)) entries.push(entry);
    }
    return {
      outcome: { entries, removed: record.removed },
      layers: record.layers.map((layer) => layer.digest),
    };
  }

  /** What was used lately is kept by `layersUsedSince`. */
  async #markUsed(key: Digest, nowMs: number): Promise<void> {
    try {
      await utimes(this.#file(key), nowMs / 1000, nowMs / 1000);
    } catch (error) {
      // Removed by hand: the blobs are there, so the record in memory is as good.
      if (!isMissing(error)) throw error;
    }
  }

  #file(key: Digest): string {
    return path.join(this.#directory, key.slice('sha256:'.length));
  }
}

function layerEntries(archive: string, rows: readonly z.infer<typeof entrySchema>[]): KnownEntry[] {
  const plain = rows.map(
    ([entryPath, kind, mode, sizeBytes, link, contentHash]): TreeEntry & { contentHash: string } => ({
      path: entryPath,
      kind,
      mode,
      sizeBytes,
      link,
      contentHash,
      place: { kind: 'slice', file: archive, offsetBytes: 0 },
    }),
  );
  const offsets = contentOffsets(plain, APP_PREFIX);
  return plain.map((entry, index) => ({
    ...entry,
    place: { kind: 'slice', file: archive, offsetBytes: offsets[index] ?? 0 },
  }));
}

async function readRecord(file: string): Promise<z.infer<typeof recordSchema> | undefined> {
  try {
    const text = await readFile(file, 'utf8');
    const newline = text.indexOf('\n');
    const body = text.slice(newline + 1);
    // Cut short by a crash: as if it were not there.
    if (newline === -1 || checksum(body) !== text.slice(0, newline)) return undefined;
    const parsed = recordSchema.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
