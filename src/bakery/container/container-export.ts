/** An image of an engine as blobs: its config and its layers as they are, and a manifest of ours above them. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, openSync, readSync, statSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Duplex, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { z } from 'zod';
import type { EngineClient } from '../../docker/engine-client.ts';
import { KilnError } from '../../domain/errors.ts';
import { type Digest, digest as parseDigest } from '../../domain/ids.ts';
import type { Artifact } from '../../domain/image.ts';
import type { FileBlobStore } from '../blobs.ts';
import { type Descriptor, writeContainerManifest } from '../oci-layout.ts';
import { type PlacedEntry, tarEntries } from '../tar/tar-reader.ts';

/** Of gzip (RFC 1952) and zstd (RFC 8878): enough to know them by. */
const MAGIC_BYTES = 4;

const savedShape = z.tuple([z.object({ Config: z.string(), Layers: z.array(z.string()) })]);
const configShape = z.object({
  architecture: z.string(),
  rootfs: z.object({ diff_ids: z.array(z.string()) }),
});

/** @param file absolute, not there yet; where the engine's archive is kept meanwhile */
export async function exportContainer(
  client: EngineClient,
  blobs: FileBlobStore,
  image: string,
  file: string,
  signal: AbortSignal,
): Promise<Artifact> {
  try {
    const saved = await client.open({
      method: 'GET',
      path: `/images/${encodeURIComponent(image)}/get`,
      signal,
    });
    await pipeline(saved, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
    const entries = savedEntries(file);
    const [{ Config, Layers }] = savedShape.parse(JSON.parse(read(file, found(entries, 'manifest.json'))));
    const configEntry = found(entries, Config);
    const configText = read(file, configEntry);
    const { architecture, rootfs } = configShape.parse(JSON.parse(configText));
    const layers: Descriptor[] = [];
    for (const [index, name] of Layers.entries()) {
      const entry = found(entries, name);
      const wanted = parseDigest(rootfs.diff_ids[index] ?? '');
      layers.push(await adopt(blobs, file, entry, wanted, signal));
    }
    const config = { digest: await blobs.write(Buffer.from(configText)), sizeBytes: configEntry.sizeBytes };
    return {
      kind: 'container',
      provider: 'local',
      arch: architecture,
      digest: await writeContainerManifest(blobs, config, layers),
      sizeBytes: layers.reduce((sum, layer) => sum + layer.sizeBytes, config.sizeBytes),
    };
  } finally {
    await rm(file, { force: true });
  }
}

/**
 * As it is unpacked, which is what the config names; engines that keep images in containerd give layers as they were
 * sent. One that an earlier bake has stored already is not written again.
 */
async function adopt(
  blobs: FileBlobStore,
  file: string,
  entry: PlacedEntry,
  wanted: Digest,
  signal: AbortSignal,
): Promise<Descriptor> {
  if (await blobs.has(wanted))
    return { digest: wanted, sizeBytes: (await stat(await blobs.path(wanted))).size };
  const staged = await blobs.stage();
  try {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const measured = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        hash.update(chunk);
        sizeBytes += chunk.length;
        done(null, chunk);
      },
    });
    const { offsetBytes } = entry;
    const source = createReadStream(file, {
      start: offsetBytes,
      end: offsetBytes + entry.sizeBytes - 1,
      signal,
    });
    const target = createWriteStream(staged, { flags: 'wx', mode: 0o600 });
    const unpack = unpackerOf(withFile(file, (readAt) => readAt(offsetBytes, MAGIC_BYTES)));
    await pipeline([source, ...(unpack === undefined ? [] : [unpack]), measured, target], { signal });
    if (`sha256:${hash.digest('hex')}` !== wanted) {
      throw new KilnError(
        'blob.damaged',
        'The Docker engine gave a layer that is not what its image names.',
        {
          next: 'Look at the disk and the log of the engine, then bake again.',
        },
      );
    }
    const handle = await open(staged, 'r');
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await blobs.adopt(staged, wanted);
    return { digest: wanted, sizeBytes };
  } finally {
    await rm(staged, { force: true });
  }
}

/** Undefined: an archive as it is. */
function unpackerOf(magic: Buffer): Duplex | undefined {
  if (magic.readUInt16BE(0) === 0x1f8b) return createGunzip();
  return magic.readUInt32LE(0) === 0xfd2fb528 ? createZstdDecompress() : undefined;
}

function savedEntries(file: string): ReadonlyMap<string, PlacedEntry> {
  return withFile(file, (readAt, size) => {
    const entries = new Map<string, PlacedEntry>();
    for (const entry of tarEntries(readAt, size)) entries.set(entry.path, entry);
    return entries;
  });
}

/** Layers that occur twice are links to one. */
function found(entries: ReadonlyMap<string, PlacedEntry>, name: string): PlacedEntry {
  let place = name;
  for (let hops = 0; hops < 8; hops += 1) {
    const entry = entries.get(place);
    if (entry?.kind === 'file') return entry;
    if (entry?.kind !== 'symlink') break;
    place = path.posix.join(path.posix.dirname(place), entry.link);
  }
  throw new KilnError('target.rejected', `The Docker engine gave an archive without ${name}.`, {
    next: 'Look at the log of the engine.',
  });
}

function read(file: string, { offsetBytes, sizeBytes }: PlacedEntry): string {
  return withFile(file, (readAt) => readAt(offsetBytes, sizeBytes).toString('utf8'));
}

export function withFile<Result>(
  file: string,
  work: (readAt: (offsetBytes: number, lengthBytes: number) => Buffer, sizeBytes: number) => Result,
): Result {
  const descriptor = openSync(file, 'r');
  try {
    return work((offset, length) => {
      const buffer = Buffer.alloc(length);
      const count = readSync(descriptor, buffer, 0, length, offset);
      return buffer.subarray(0, count);
    }, statSync(file).size);
  } finally {
    closeSync(descriptor);
  }
}
