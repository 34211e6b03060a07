/**
 * A container image from the blob store as the archive that engines load: `manifest.json`, the config and the layers,
 * as `docker save` writes them (Docker Image Specification v1.2, "Combined Image JSON + Filesystem Changeset Format").
 */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { type Digest, hexOf } from '../../domain/ids.ts';
import type { BlobStore } from '../../domain/ports/blobs.ts';
import { readManifest } from '../oci-layout.ts';
import { paddedBytes, TRAILER_BYTES, tarHeader } from '../tar/tar-header.ts';

const MODE = 0o644;

/** Reads the blobs as it goes; fails with `blob.missing` before anything is given. */
export async function containerArchive(
  blobs: BlobStore,
  artifact: Digest,
  name: string,
  signal: AbortSignal,
): Promise<Readable> {
  const { config, layers } = await readManifest(blobs, artifact);
  const configName = `${hexOf(config.digest)}.json`;
  const parts = [
    { name: configName, sizeBytes: config.sizeBytes, file: await blobs.path(config.digest) },
    ...(await Promise.all(
      [...new Map(layers.map((layer) => [layer.digest, layer])).values()].map(async (layer) => ({
        name: layerName(layer.digest),
        sizeBytes: layer.sizeBytes,
        file: await blobs.path(layer.digest),
      })),
    )),
  ];
  const index = Buffer.from(
    JSON.stringify([
      { Config: configName, RepoTags: [name], Layers: layers.map((layer) => layerName(layer.digest)) },
    ]),
  );
  return Readable.from(archive(parts, index, signal), { objectMode: false });
}

interface Part {
  readonly name: string;
  readonly sizeBytes: number;
  readonly file: string;
}

async function* archive(parts: readonly Part[], index: Buffer, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (const { name, sizeBytes, file } of parts) {
    yield header(name, sizeBytes);
    yield* createReadStream(file, { signal, highWaterMark: 1 << 20 });
    yield padding(sizeBytes);
  }
  yield header('manifest.json', index.length);
  yield index;
  yield padding(index.length);
  yield Buffer.alloc(TRAILER_BYTES);
}

function header(name: string, sizeBytes: number): Buffer {
  return tarHeader({ kind: 'file', path: name, mode: MODE, sizeBytes, link: '' });
}

function padding(sizeBytes: number): Buffer {
  return Buffer.alloc(paddedBytes(sizeBytes) - sizeBytes);
}

function layerName(digest: Digest): string {
  return `${hexOf(digest)}/layer.tar`;
}
