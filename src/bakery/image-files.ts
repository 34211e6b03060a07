/** Looks into the blobs that images are kept as: whether they are whole, and on which files two of them differ. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileChange } from '../domain/difference.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { type Image, isStored } from '../domain/image.ts';
import type { BlobStore } from '../domain/ports/blobs.ts';
import { blobsOf, readManifest } from './oci-layout.ts';
import { type PlacedEntry, tarEntries } from './tar/tar-reader.ts';

/** The server answers others at least this often. */
const TURN_MS = 8;
const PIECE_BYTES = 1 << 20;

export interface BlobFault {
  readonly image: Image;
  readonly digest: Digest;
  readonly code: 'blob.missing' | 'blob.damaged';
  readonly message: string;
}

interface Located extends PlacedEntry {
  readonly layer: string;
}

export class ImageFiles {
  readonly #blobs: BlobStore;

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** Reads every blob of the images once, and compares it with its name. */
  async verify(
    images: readonly Image[],
    signal: AbortSignal,
  ): Promise<{ readonly blobs: number; readonly faults: readonly BlobFault[] }> {
    const outcomes = new Map<Digest, KilnError | undefined>();
    const faults: BlobFault[] = [];
    for (const image of images) {
      for (const { digest } of image.artifacts.filter(isStored)) {
        for (const blob of await this.#blobsBehind(digest, outcomes, signal)) {
          const fault = outcomes.get(blob);
          const code = fault?.code;
          if (fault === undefined || (code !== 'blob.missing' && code !== 'blob.damaged')) continue;
          faults.push({ image, digest: blob, code, message: fault.message });
        }
      }
    }
    return { blobs: outcomes.size, faults };
  }

  /** By path; nothing of layers that both have. */
  async changes(from: Digest, to: Digest, signal: AbortSignal): Promise<readonly FileChange[]> {
    const [before, after] = [await readManifest(this.#blobs, from), await readManifest(this.#blobs, to)];
    const shared = new Set(before.layers.map((layer) => layer.digest));
    for (const digest of shared)
      if (!after.layers.some((layer) => layer.digest === digest)) shared.delete(digest);
    const own = (layers: typeof before.layers) =>
      layers.map((one) => one.digest).filter((one) => !shared.has(one));
    const left = await this.#entries(own(before.layers), signal);
    const right = await this.#entries(own(after.layers), signal);
    const changes: FileChange[] = [];
    for (const path of [...new Set([...left.keys(), ...right.keys()])].sort()) {
      const change = await changeOf(left.get(path), right.get(path), signal);
      if (change !== undefined) changes.push({ path, change });
    }
    return changes;
  }

  async #blobsBehind(
    manifest: Digest,
    outcomes: Map<Digest, KilnError | undefined>,
    signal: AbortSignal,
  ): Promise<readonly Digest[]> {
    await this.#check(manifest, outcomes, signal);
    if (outcomes.get(manifest) !== undefined) return [manifest];
    const all = blobsOf(manifest, await readManifest(this.#blobs, manifest));
    for (const blob of all) await this.#check(blob, outcomes, signal);
    return all;
  }

  async #check(
    digest: Digest,
    outcomes: Map<Digest, KilnError | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    if (outcomes.has(digest)) return;
    try {
      await this.#blobs.verify(digest, signal);
      outcomes.set(digest, undefined);
    } catch (thrown) {
      const fault = asKilnError(thrown);
      // A disk that fails is not a damaged blob: nothing is said of it, and the whole check fails.
      if (fault.code !== 'blob.missing' && fault.code !== 'blob.damaged') throw fault;
      outcomes.set(digest, fault);
    }
  }

  async #entries(layers: readonly Digest[], signal: AbortSignal): Promise<ReadonlyMap<string, Located>> {
    const found = new Map<string, Located>();
    for (const digest of layers) {
      const layer = await this.#blobs.path(digest);
      await inArchive(layer, async (readAt, sizeBytes) => {
        let since = performance.now();
        for (const entry of tarEntries(readAt, sizeBytes, { anyType: true })) {
          found.set(entry.path.replace(/^\.\//, ''), { ...entry, layer });
          if (performance.now() - since < TURN_MS) continue;
          await nextTurn();
          signal.throwIfAborted();
          since = performance.now();
        }
      });
    }
    return found;
  }
}

async function changeOf(
  before: Located | undefined,
  after: Located | undefined,
  signal: AbortSignal,
): Promise<FileChange['change'] | undefined> {
  if (before === undefined) return 'added';
  if (after === undefined) return 'removed';
  if (before.kind !== after.kind) return 'kind';
  if (before.sizeBytes !== after.sizeBytes || before.link !== after.link) return 'content';
  if (before.kind === 'file' && (await hashOf(before, signal)) !== (await hashOf(after, signal)))
    return 'content';
  return before.mode === after.mode ? undefined : 'mode';
}

async function hashOf({ layer, offsetBytes, sizeBytes }: Located, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await inArchive(layer, async (readAt) => {
    for (let done = 0; done < sizeBytes; done += PIECE_BYTES) {
      hash.update(readAt(offsetBytes + done, Math.min(PIECE_BYTES, sizeBytes - done)));
      await nextTurn();
      signal.throwIfAborted();
    }
  });
  return hash.digest('hex');
}

async function inArchive(
  archive: string,
  work: (readAt: (offset: number, length: number) => Buffer, sizeBytes: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(archive, 'r');
  try {
    const readAt = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length; ) {
        const read = readSync(fd, bytes, done, length - done, offset + done);
        if (read === 0) throw cutShort();
        done += read;
      }
      return bytes;
    };
    await work(readAt, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

function cutShort(): KilnError {
  return new KilnError('blob.damaged', 'A layer ended too early.', {
    next: 'Run: kiln images verify, then bake the image again.',
  });
}
