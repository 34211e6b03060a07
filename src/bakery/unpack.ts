/**
 * Unpacks a bundle for a host: the content of its `app/` folder, read-only, whole or not at all. Each layer's digest
 * is verified by the same reading that extracts it.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { isMissing } from '../files/system-error.ts';
import type { FileBlobStore } from './blobs.ts';
import { APP_PREFIX, allSettledOrThrow } from './bundle/layer-store.ts';
import { staysInside } from './bundle/links.ts';
import type { WorkerPool } from './bundle/worker-pool.ts';
import { readManifest } from './oci-layout.ts';

export interface UnpackOptions {
  readonly blobs: FileBlobStore;
  readonly pool: WorkerPool;
}

/**
 * @param destination absolute, not there yet; its parent is. Nothing appears under this name before all is unpacked:
 *   a crash leaves only `<destination>.partial-…`, which `sweepPartial` removes.
 */
export async function unpackBundle(
  { blobs, pool }: UnpackOptions,
  digest: Digest,
  destination: string,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${destination}.partial-${randomBytes(6).toString('hex')}`;
  const { layers } = await readManifest(blobs, digest);
  await mkdir(partial, { mode: 0o700 });
  try {
    const archives = await Promise.all(layers.map((layer) => blobs.path(layer.digest)));
    const symlinks = new Map<string, string>();
    const folders = new Set<string>();
    await allSettledOrThrow(
      layers.map(async (layer, index) => {
        const result = await pool.run(
          {
            kind: 'unpack',
            archive: archives[index] ?? '',
            expectedHash: layer.digest.slice('sha256:'.length),
            destination: partial,
            strip: APP_PREFIX,
            readOnly: true,
          },
          signal,
        );
        for (const [link, target] of result.symlinks) symlinks.set(link, target);
        for (const folder of result.folders) folders.add(folder);
      }),
    );
    signal.throwIfAborted();
    assertInside(symlinks, digest);
    await pool.run({ kind: 'seal', root: partial, symlinks: [...symlinks], folders: [...folders] }, signal);
    await rename(partial, destination);
    await syncFolder(path.dirname(destination));
  } catch (error) {
    await removeUnpacked(partial);
    throw error;
  }
}

/** Removes an unpacked bundle, whose folders cannot be written to. Nothing there is fine. */
export async function removeUnpacked(directory: string): Promise<void> {
  try {
    await openFolders(directory);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await rm(directory, { recursive: true, force: true });
}

/** Removes what unpackings to `destination` that were cut off have left. Only when none is under way. */
export async function sweepPartial(destination: string): Promise<void> {
  const parent = path.dirname(destination);
  const prefix = `${path.basename(destination)}.partial-`;
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await removeUnpacked(path.join(parent, name));
  }
}

function assertInside(symlinks: ReadonlyMap<string, string>, digest: Digest): void {
  for (const [link, target] of symlinks) {
    if (staysInside(link, target, symlinks)) continue;
    throw new KilnError('path.escapes', `The symlink "${link}" of ${digest} leads out of the image.`, {
      next: 'Bake the image again.',
      details: { digest, link },
    });
  }
}

/** Parents before their children. Does not follow links. */
async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const child of await readdir(folder, { withFileTypes: true })) {
    if (child.isDirectory()) await openFolders(path.join(folder, child.name));
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
