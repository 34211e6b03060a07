/** What bakes may leave behind, and how it goes: after a crash, and when images have gone. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Digest } from '../domain/ids.ts';
import { namesIn } from '../files/names-in.ts';
import { endMarked } from '../processes/marked-processes.ts';
import type { FileBlobStore } from './blobs.ts';
import { BUILD_MARK } from './build-mark.ts';
import { blobsOf, readManifest } from './oci-layout.ts';

/** Before the first bake of a server: ends build processes and removes folders and half-written blobs of the last one. */
export async function sweepAfterCrash(stateDirectory: string, blobs: FileBlobStore): Promise<void> {
  await endMarked(BUILD_MARK, `${stateDirectory}#`);
  await removeFolders(stateDirectory, 'bake-');
  await blobs.sweep();
}

/** The same of one baker process that has ended, while others go on. */
export async function sweepAfterBaker(
  stateDirectory: string,
  blobs: FileBlobStore,
  baker: string,
): Promise<void> {
  await endMarked(BUILD_MARK, `${stateDirectory}#bake-${baker}-`);
  await removeFolders(stateDirectory, `bake-${baker}-`);
  await blobs.sweepStagedBy(baker);
}

async function removeFolders(stateDirectory: string, prefix: string): Promise<void> {
  const folder = path.join(stateDirectory, 'tmp');
  for (const name of await namesIn(folder)) {
    if (name.startsWith(prefix)) await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

export interface Collected {
  readonly blobs: number;
  readonly bytes: number;
}

export interface Collecting {
  /** Manifests of all images. */
  readonly keep: ReadonlySet<Digest>;
  /** Blobs that a cache stands on. */
  readonly cached: ReadonlySet<Digest>;
  /** Blobs that were last wanted after this stay: somebody may be about to record an image of them. */
  readonly unusedSinceMs?: number;
  /** True: a manifest that is not here may be in the blob store of another server that shares the catalogue. */
  readonly isShared?: boolean;
}

/** Deletes every blob that nothing stands on and nobody holds. Only while nothing is baked. */
export async function collectBlobs(blobs: FileBlobStore, collecting: Collecting): Promise<Collected> {
  const { keep, cached, unusedSinceMs, isShared = false } = collecting;
  const needed = new Set<Digest>(cached);
  for (const digest of keep) {
    if (isShared && !(await blobs.has(digest))) continue;
    // One that is missing or damaged keeps nothing, but must not make us delete what others need: we stop.
    for (const blob of blobsOf(digest, await readManifest(blobs, digest))) needed.add(blob);
  }
  let count = 0;
  let bytes = 0;
  for await (const digest of blobs.list()) {
    if (needed.has(digest)) continue;
    if (unusedSinceMs !== undefined) {
      const usedAtMs = await blobs.lastUsedMs(digest);
      if (usedAtMs === undefined || usedAtMs > unusedSinceMs) continue;
    }
    const sizeBytes = await blobs.sizeBytes(digest);
    if (!(await blobs.holds.unlessHeld(digest, () => blobs.delete(digest)))) continue;
    bytes += sizeBytes;
    count += 1;
  }
  return { blobs: count, bytes };
}
