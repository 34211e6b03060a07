/**
 * Unpacks a bundle for a host: the content of its `app/` folder, read-only, whole or not at all. Each layer's digest
 * is verified by the same reading that extracts it.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir, open, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
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
      }),
    );
    signal.throwIfAborted();
    makeSymlinks(partial, symlinks, digest);
    closeFolders(partial);
    await rename(partial, destination);
    await syncFolder(path.dirname(destination));
  } catch (error) {
    removeUnpacked(partial);
    throw error;
  }
}

/** Removes an unpacked bundle, whose folders cannot be written to. Nothing there is fine. */
export function removeUnpacked(directory: string): void {
  if (lstatSync(directory, { throwIfNoEntry: false }) === undefined) return;
  openFolders(directory);
  rmSync(directory, { recursive: true, force: true });
}

/** Removes what unpackings that were cut off have left in `parent`. Only when none is under way. */
export async function sweepPartial(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (/\.partial-[0-9a-f]{12}$/.test(name)) removeUnpacked(path.join(parent, name));
  }
}

/** Only now: while files were written no path could lead through a link. */
function makeSymlinks(root: string, symlinks: ReadonlyMap<string, string>, digest: Digest): void {
  for (const [link, target] of symlinks) {
    if (!staysInside(link, target, symlinks)) {
      throw new KilnError('path.escapes', `The symlink "${link}" of ${digest} leads out of the image.`, {
        next: 'Bake the image again.',
        details: { digest, link },
      });
    }
    const parent = path.dirname(path.join(root, link));
    mkdirSync(parent, { recursive: true, mode: 0o755 });
  }
  for (const [link, target] of symlinks) symlinkSync(target, path.join(root, link));
}

/** Read and search only, whatever the umask was. */
function closeFolders(root: string): void {
  forEachFolder(root, (folder) => chmodSync(folder, 0o555));
}

function openFolders(root: string): void {
  chmodSync(root, 0o700);
  for (const child of readdirSync(root, { withFileTypes: true })) {
    if (child.isDirectory()) openFolders(path.join(root, child.name));
  }
}

/** Children before their parent. Does not follow links. */
function forEachFolder(folder: string, act: (folder: string) => void): void {
  for (const child of readdirSync(folder, { withFileTypes: true })) {
    if (child.isDirectory()) forEachFolder(path.join(folder, child.name), act);
  }
  act(folder);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
