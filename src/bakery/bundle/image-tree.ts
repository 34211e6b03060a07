/** The tree that an image holds, read back from its layers. */
import type { Digest } from '../../domain/ids.ts';
import type { FileBlobStore } from '../blobs.ts';
import { readManifest } from '../oci-layout.ts';
import { APP_PREFIX, type LayerStore } from './layer-store.ts';
import { KINDS, LIST_STRIDE, type ListResult } from './tasks.ts';
import { type KnownEntry, sortByPath, type TreeEntry } from './tree.ts';
import type { WorkerPool } from './worker-pool.ts';

export class ImageTrees {
  readonly #blobs: FileBlobStore;
  readonly #pool: WorkerPool;
  readonly #layers: LayerStore;

  constructor(blobs: FileBlobStore, pool: WorkerPool, layers: LayerStore) {
    this.#blobs = blobs;
    this.#pool = pool;
    this.#layers = layers;
  }

  /** Reads every content. */
  async read(digest: Digest, signal: AbortSignal): Promise<KnownEntry[]> {
    const manifest = await readManifest(this.#blobs, digest);
    const entries: TreeEntry[] = [];
    for (const layer of manifest.layers) {
      const archive = await this.#blobs.path(layer.digest);
      const listed = await this.#pool.run({ kind: 'list', archive }, signal);
      for (const entry of listedEntries(archive, listed)) entries.push(entry);
    }
    return this.#layers.hash(sortByPath(entries), signal);
  }
}

function listedEntries(archive: string, result: ListResult): TreeEntry[] {
  if (result.paths === '') return [];
  const links = result.links.split('\0');
  const prefix = `${APP_PREFIX}/`;
  return result.paths.split('\0').flatMap((path, index) => {
    if (!path.startsWith(prefix)) return [];
    const at = index * LIST_STRIDE;
    const kind = KINDS[result.numbers[at] ?? 0] ?? 'file';
    return [
      {
        path: path.slice(prefix.length),
        kind,
        mode: result.numbers[at + 1] ?? 0,
        sizeBytes: result.numbers[at + 2] ?? 0,
        link: links[index] ?? '',
        contentHash: kind === 'file' ? undefined : '',
        place: { kind: 'slice', file: archive, offsetBytes: result.numbers[at + 3] ?? 0 },
      } satisfies TreeEntry,
    ];
  });
}
