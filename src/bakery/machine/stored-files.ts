/**
 * Files of machine images as artifacts in the blob store: an OCI manifest with one layer, so that whatever verifies,
 * collects or pushes blobs knows them. A root filesystem is a layer like any image's; other forms have types of ours.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { digest as parseDigest } from '../../domain/ids.ts';
import type { StoredArtifact } from '../../domain/image.ts';
import type { FileBlobStore } from '../blobs.ts';
import { type Descriptor, LAYER_TYPE, writeMachineManifest } from '../oci-layout.ts';

export type StoredForm = 'rootfs' | 'squashfs' | 'qcow2' | 'file';

const MEDIA_TYPES: Readonly<Record<StoredForm, string>> = {
  rootfs: LAYER_TYPE,
  squashfs: 'application/vnd.kiln.machine.squashfs',
  qcow2: 'application/vnd.kiln.machine.qcow2',
  file: 'application/vnd.kiln.machine.file',
};

/** Durable when it returns. @param file absolute; only read */
export async function storeMachineFile(
  blobs: FileBlobStore,
  { file, form, arch }: { readonly file: string; readonly form: StoredForm; readonly arch: string },
  signal: AbortSignal,
): Promise<StoredArtifact> {
  const layer = await storeFile(blobs, file, signal);
  const digest = await writeMachineManifest(blobs, { ...layer, mediaType: MEDIA_TYPES[form] }, arch);
  return { kind: 'machine', provider: 'local', arch, sizeBytes: layer.sizeBytes, digest };
}

async function storeFile(blobs: FileBlobStore, file: string, signal: AbortSignal): Promise<Descriptor> {
  const staged = await blobs.stage();
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const target = await open(staged, 'wx', 0o600);
  try {
    for await (const piece of createReadStream(file, { highWaterMark: 1 << 20, signal })) {
      hash.update(piece);
      sizeBytes += piece.length;
      await target.write(piece);
    }
    await target.datasync();
  } finally {
    await target.close();
  }
  const digest = parseDigest(`sha256:${hash.digest('hex')}`);
  await blobs.adopt(staged, digest);
  return { digest, sizeBytes };
}
