/** Files of an image, read straight out of its layers: headers are looked at, and contents only of what is wanted. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileBlobStore } from '../../bakery/blobs.ts';
import { readManifest } from '../../bakery/oci-layout.ts';
import { tarEntries } from '../../bakery/tar/tar-reader.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { FILE_LIMIT_BYTES } from './package-files.ts';

/** The folder of the archive that holds the app. */
const BUNDLE_PREFIX = /^app\//;
/** Some tools begin every path of a root filesystem so. */
const ROOT_PREFIX = /^\.?\//;
/** The server answers others at least this often while an image is looked through. */
const TURN_MS = 8;

interface Place {
  readonly file: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/**
 * Texts by path of those files that `choose` picks from all paths. A later layer's file stands for an earlier one's, and
 * what a layer of a container takes away is not there.
 */
export async function readChosenFiles(
  blobs: FileBlobStore,
  digest: Digest,
  choose: (paths: readonly string[]) => readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { kind, layers } = await readManifest(blobs, digest);
  const prefix = kind === 'bundle' ? BUNDLE_PREFIX : ROOT_PREFIX;
  const places = new Map<string, Place>();
  const turn = turns();
  for (const layer of layers) {
    const file = await blobs.path(layer.digest);
    // A layer takes away what is below it, never what is its own.
    const own = new Map<string, Place>();
    await inFile(file, layer.digest, async (readAt, sizeBytes) => {
      for (const entry of tarEntries(readAt, sizeBytes, { anyType: kind !== 'bundle' })) {
        await turn();
        const path = entry.path.replace(prefix, '');
        if (kind === 'container' && removeWhitedOut(path, places)) continue;
        if (entry.kind !== 'file' || entry.sizeBytes > FILE_LIMIT_BYTES) continue;
        own.set(path, { file, offsetBytes: entry.offsetBytes, sizeBytes: entry.sizeBytes });
      }
    });
    for (const [path, place] of own) places.set(path, place);
  }
  return readPlaces(choose([...places.keys()]), places, digest, turn);
}

/**
 * `.wh.name` takes away a file or folder of the layers below, `.wh..wh..opq` all that was in its folder (OCI image
 * specification v1.1, "Whiteouts").
 */
function removeWhitedOut(path: string, places: Map<string, Place>): boolean {
  const [, folder = '', name] = /^(.*\/)?\.wh\.(.+)$/.exec(path) ?? [];
  if (name === undefined) return false;
  const gone = name === '.wh..opq' ? folder : `${folder}${name}/`;
  places.delete(`${folder}${name}`);
  for (const one of [...places.keys()]) if (one.startsWith(gone)) places.delete(one);
  return true;
}

async function readPlaces(
  paths: readonly string[],
  places: ReadonlyMap<string, Place>,
  digest: Digest,
  turn: () => Promise<void>,
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  const byFile = Map.groupBy(paths, (path) => places.get(path)?.file ?? '');
  for (const [file, wanted] of byFile) {
    await inFile(file, digest, async (readAt) => {
      for (const path of wanted) {
        await turn();
        const place = places.get(path);
        if (place !== undefined) texts.set(path, readAt(place.offsetBytes, place.sizeBytes).toString('utf8'));
      }
    });
  }
  // In the order of the paths, whichever layer they are in.
  return new Map([...texts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function inFile(
  file: string,
  digest: Digest,
  work: (readAt: (offset: number, length: number) => Buffer, sizeBytes: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(file, 'r');
  try {
    const readAt = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length; ) {
        const read = readSync(fd, bytes, done, length - done, offset + done);
        if (read === 0) throw cutShort(digest);
        done += read;
      }
      return bytes;
    };
    await work(readAt, fstatSync(fd).size);
  } finally {
    closeSync(fd);
  }
}

/** Reads are synchronous, since each takes microseconds; between them others get their turn. */
function turns(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < TURN_MS) return;
    await nextTurn();
    since = performance.now();
  };
}

function cutShort(digest: Digest): KilnError {
  return new KilnError('blob.damaged', `A layer of ${digest} ended too early.`, {
    next: 'Check the disk, and bake the image again.',
  });
}
