/**
 * Layers by their membership: known ones are taken as they are, others are packed by worker threads, all at once.
 * The membership files are a cache: losing them costs time, never bytes.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { digest as parseDigest } from '../../domain/ids.ts';
import { isMissing } from '../../files/system-error.ts';
import type { FileBlobStore } from '../blobs.ts';
import type { Descriptor } from '../oci-layout.ts';
import { packColumns, withHashes } from './columns.ts';
import type { Layer } from './layers.ts';
import { Memberships } from './memberships.ts';
import { isKnown, type KnownEntry, type TreeEntry } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

/** The folder of the archive that holds the app. */
export const APP_PREFIX = 'app';

export interface StoredLayer {
  readonly descriptor: Descriptor;
  readonly entries: readonly KnownEntry[];
  /** True when it was there before. */
  readonly reused: boolean;
}

const recordSchema = z.object({
  digest: z.string().transform((text) => parseDigest(text)),
  sizeBytes: z.number().int().nonnegative(),
});

const BATCHES_PER_THREAD = 4;

export class LayerStore {
  readonly #blobs: FileBlobStore;
  readonly #pool: WorkerPool;
  readonly #directory: string;
  readonly #known = new Map<string, Descriptor>();
  readonly memberships = new Memberships();

  constructor(blobs: FileBlobStore, pool: WorkerPool, directory: string) {
    this.#blobs = blobs;
    this.#pool = pool;
    this.#directory = directory;
  }

  /** In the given order; the largest are begun first, so that no thread ends long after the others. */
  async ensureAll(layers: readonly Layer[], signal: AbortSignal): Promise<StoredLayer[]> {
    const bySize = layers
      .map((layer, index) => ({ layer, index }))
      .toSorted((a, b) => b.layer.sizeBytes - a.layer.sizeBytes);
    const stored = new Array<StoredLayer>(layers.length);
    await allSettledOrThrow(
      bySize.map(async ({ layer, index }) => {
        stored[index] = await this.#ensure(layer, signal);
      }),
    );
    return stored;
  }

  /** Reads what is not known yet. */
  async hash(entries: readonly TreeEntry[], signal: AbortSignal): Promise<KnownEntry[]> {
    if (entries.every(isKnown)) return [...entries];
    const unknown = entries.filter((entry) => !isKnown(entry));
    const hashed = new Map<string, KnownEntry>();
    const size = Math.max(16, Math.ceil(unknown.length / (this.#pool.threads * BATCHES_PER_THREAD)));
    const batches: TreeEntry[][] = [];
    for (let at = 0; at < unknown.length; at += size) batches.push(unknown.slice(at, at + size));
    await allSettledOrThrow(
      batches.map(async (batch) => {
        const columns = packColumns(batch, '');
        const result = await this.#pool.run({ kind: 'pack', columns, output: undefined }, signal);
        for (const entry of withHashes(batch, result.contentHashes)) hashed.set(entry.path, entry);
      }),
    );
    return entries.flatMap((entry) => (isKnown(entry) ? [entry] : (hashed.get(entry.path) ?? [])));
  }

  async #ensure(layer: Layer, signal: AbortSignal): Promise<StoredLayer> {
    const unknownBytes = layer.entries.reduce(
      (sum, entry) => sum + (isKnown(entry) ? 0 : entry.sizeBytes),
      0,
    );
    // Mostly unknown: reading it twice costs more than writing it in vain once.
    if (unknownBytes * 2 < layer.sizeBytes) {
      const entries = await this.hash(layer.entries, signal);
      const descriptor = await this.#lookUp(this.memberships.of(entries));
      if (descriptor !== undefined) return { descriptor, entries, reused: true };
    }
    return this.#pack(layer, signal);
  }

  async #pack(layer: Layer, signal: AbortSignal): Promise<StoredLayer> {
    const output = await this.#blobs.stage();
    try {
      const columns = packColumns(layer.entries, APP_PREFIX);
      const result = await this.#pool.run({ kind: 'pack', columns, output }, signal);
      const entries = withHashes(layer.entries, result.contentHashes);
      const descriptor = {
        digest: parseDigest(`sha256:${result.archiveHash}`),
        sizeBytes: result.archiveBytes,
      };
      await this.#blobs.adopt(output, descriptor.digest);
      await this.#remember(this.memberships.of(entries), descriptor);
      return { descriptor, entries, reused: false };
    } finally {
      await rm(output, { force: true });
    }
  }

  async #lookUp(membership: string): Promise<Descriptor | undefined> {
    const descriptor = this.#known.get(membership) ?? (await this.#read(membership));
    if (descriptor === undefined || !(await this.#blobs.has(descriptor.digest))) return undefined;
    this.#known.set(membership, descriptor);
    return descriptor;
  }

  async #read(membership: string): Promise<Descriptor | undefined> {
    try {
      const parsed = recordSchema.safeParse(JSON.parse(await readFile(this.#file(membership), 'utf8')));
      return parsed.success ? parsed.data : undefined;
    } catch (error) {
      // Absent or cut short by a crash: it is made again from the files.
      if (isMissing(error) || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  async #remember(membership: string, descriptor: Descriptor): Promise<void> {
    this.#known.set(membership, descriptor);
    const file = this.#file(membership);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const staged = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
    await writeFile(staged, JSON.stringify(descriptor), { mode: 0o600, flag: 'wx' });
    await rename(staged, file);
  }

  #file(membership: string): string {
    return path.join(this.#directory, membership.slice(0, 2), membership);
  }
}

/** Waits for every one, so that nothing is still being written when the first failure is reported. */
export async function allSettledOrThrow(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
