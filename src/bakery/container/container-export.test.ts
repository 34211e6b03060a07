/** Archives as engines give them that cannot be had here: those that keep images in containerd (the default from Docker 29 on). */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { EngineClient } from '../../docker/engine-client.ts';
import { storedDigest } from '../../domain/image.ts';
import { FileBlobStore, sha256 } from '../blobs.ts';
import { readManifest } from '../oci-layout.ts';
import { paddedBytes, TRAILER_BYTES, tarHeader } from '../tar/tar-header.ts';
import { exportContainer } from './container-export.ts';

const NEVER = new AbortController().signal;

function tar(files: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => [
    tarHeader({ kind: 'file', path: name, mode: 0o644, sizeBytes: content.length, link: '' }),
    content,
    Buffer.alloc(paddedBytes(content.length) - content.length),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(TRAILER_BYTES)]);
}

test('layers are kept as the config names them, however they are packed', async () => {
  const layers = ['plain', 'by gzip', 'by zstd'].map((text) => tar({ file: Buffer.from(text) }));
  const [plain, zipped, packed] = layers as [Buffer, Buffer, Buffer];
  const config = { architecture: 'amd64', rootfs: { diff_ids: layers.map((layer) => sha256(layer)) } };
  const saved = tar({
    'blobs/sha256/a': plain,
    'blobs/sha256/b': gzipSync(zipped),
    'blobs/sha256/c': zstdCompressSync(packed),
    'blobs/sha256/d': Buffer.from(JSON.stringify(config)),
    'manifest.json': Buffer.from(
      JSON.stringify([
        { Config: 'blobs/sha256/d', Layers: ['a', 'b', 'c'].map((one) => `blobs/sha256/${one}`) },
      ]),
    ),
  });
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-export-'));
  const socket = path.join(folder, 'docker.sock');
  const engine = createServer((_, answer) => answer.end(saved));
  await new Promise<void>((resolve) => engine.listen(socket, resolve));
  const client = new EngineClient(socket);
  onTestFinished(async () => {
    client.close();
    engine.close();
    await rm(folder, { recursive: true, force: true });
  });
  const blobs = new FileBlobStore(path.join(folder, 'blobs'));
  const again = async (name: string) =>
    exportContainer(client, blobs, 'image', path.join(folder, name), NEVER);
  const artifact = await again('first.tar');
  const kept = (await readManifest(blobs, storedDigest(artifact))).layers;
  expect(kept).toMatchObject(layers.map((layer) => ({ digest: sha256(layer), sizeBytes: layer.length })));
  for (const [index, { digest }] of kept.entries()) {
    expect(await readFile(await blobs.path(digest))).toEqual(layers[index]);
  }
  expect(await again('second.tar')).toEqual(artifact);
});
