/** Which files differ between two container images, whatever layers they lie in. Times are left out: no two builds share them. */
import { createHash } from 'node:crypto';
import type { Digest } from '../../domain/ids.ts';
import type { BlobStore } from '../../domain/ports/blobs.ts';
import type { BuildDifference } from '../../domain/ports/builder.ts';
import { readManifest } from '../oci-layout.ts';
import { tarEntries } from '../tar/tar-reader.ts';
import { withFile } from './container-export.ts';

/** What takes something of a lower layer away (OCI image specification, "Whiteouts"). */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
const CHUNK_BYTES = 1 << 20;

interface Seen {
  readonly mode: number;
  readonly content: string;
}

export async function compareContainers(
  blobs: BlobStore,
  before: Digest,
  after: Digest,
): Promise<readonly BuildDifference[]> {
  const [old, young] = await Promise.all([filesOf(blobs, before), filesOf(blobs, after)]);
  const differences: BuildDifference[] = [];
  for (const [path, was] of old) {
    const is = young.get(path);
    if (is === undefined) differences.push({ path, change: 'removed' });
    else if (is.content !== was.content) differences.push({ path, change: 'content' });
    else if (is.mode !== was.mode) differences.push({ path, change: 'mode' });
  }
  for (const path of young.keys()) if (!old.has(path)) differences.push({ path, change: 'added' });
  return differences.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function filesOf(blobs: BlobStore, artifact: Digest): Promise<ReadonlyMap<string, Seen>> {
  const files = new Map<string, Seen>();
  for (const { digest } of (await readManifest(blobs, artifact)).layers) {
    layOver(files, layerFiles(await blobs.path(digest)));
  }
  return files;
}

function layOver(files: Map<string, Seen>, layer: ReadonlyMap<string, Seen>): void {
  for (const path of layer.keys()) {
    const slash = path.lastIndexOf('/') + 1;
    const folder = path.slice(0, slash);
    const name = path.slice(slash);
    if (name === OPAQUE) removeBelow(files, folder);
    else if (name.startsWith(WHITEOUT)) {
      const gone = `${folder}${name.slice(WHITEOUT.length)}`;
      files.delete(gone);
      removeBelow(files, `${gone}/`);
    }
  }
  for (const [path, seen] of layer) {
    if (!path.slice(path.lastIndexOf('/') + 1).startsWith(WHITEOUT)) files.set(path, seen);
  }
}

function removeBelow(files: Map<string, Seen>, folder: string): void {
  for (const path of files.keys()) if (path.startsWith(folder)) files.delete(path);
}

function layerFiles(archive: string): ReadonlyMap<string, Seen> {
  return withFile(archive, (readAt, size) => {
    const files = new Map<string, Seen>();
    for (const entry of tarEntries(readAt, size, { anyType: true })) {
      const hash = createHash('sha256').update(`${entry.kind} ${entry.link}\n`);
      for (let at = 0; at < entry.sizeBytes; at += CHUNK_BYTES) {
        hash.update(readAt(entry.offsetBytes + at, Math.min(CHUNK_BYTES, entry.sizeBytes - at)));
      }
      files.set(entry.path, { mode: entry.mode, content: hash.digest('hex') });
    }
    return files;
  });
}
