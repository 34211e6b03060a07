/**
 * Sends an image: its blobs, several at a time, then manifests, then the index and its tag. Since the index comes
 * last, a registry never shows an image of which something is missing; what had come before an interruption is found
 * there again.
 */
import type { FileBlobStore } from '../bakery/blobs.ts';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { type Image, isStored } from '../domain/image.ts';
import { severalAtATime } from './patience.ts';
import type { Manifest, Repository } from './repository.ts';
import {
  type Attachment,
  artifactTag,
  parseManifest,
  type Shipment,
  type StoredManifest,
  shipmentOf,
} from './shipment.ts';
import type { OnProgress } from './transfer-progress.ts';
import type { BlobFile } from './uploads.ts';

const UPLOADS_AT_A_TIME = 4;

export interface PushParts {
  readonly blobs: FileBlobStore;
  readonly repository: Repository;
  /** Another repository of the same registry that has the blob, as far as we know. */
  readonly knownElsewhere: (blob: Digest) => string | undefined;
  readonly onProgress: OnProgress;
  /** Before the registry shows it: so it is known of wherever the push is cut off. */
  readonly onIndex: (digest: Digest) => Promise<void>;
}

export interface Pushed {
  /** Of the index: what `kiln pull NAME@…` takes. */
  readonly digest: Digest;
  readonly tag: string;
  /** Everything that the repository has now. */
  readonly blobs: readonly Digest[];
}

export async function pushImage(
  parts: PushParts,
  image: Image,
  tag: string,
  attachments: readonly Attachment[],
  signal: AbortSignal,
): Promise<Pushed> {
  const { blobs, repository } = parts;
  const artifacts = await storedManifests(blobs, image);
  const shipment = shipmentOf(image, artifacts, attachments);
  const files = await sendBlobs(parts, artifacts, shipment, signal);
  for (const { artifact, mediaType, text } of artifacts) {
    await repository.putManifest(artifact.digest, { digest: artifact.digest, mediaType, text }, signal);
  }
  for (const manifest of shipment.manifests) await repository.putManifest(manifest.digest, manifest, signal);
  await parts.onIndex(shipment.index.digest);
  for (const { artifact } of artifacts) {
    await putArtifactTag(repository, artifact.digest, shipment.index, signal);
  }
  await repository.putManifest(tag, shipment.index, signal);
  return { digest: shipment.index.digest, tag, blobs: files.map((file) => file.digest) };
}

async function sendBlobs(
  parts: PushParts,
  artifacts: readonly StoredManifest[],
  shipment: Shipment,
  signal: AbortSignal,
): Promise<readonly BlobFile[]> {
  const { blobs, onProgress } = parts;
  // No image here stands on what is made for the push alone.
  const letGo = await blobs.holds.hold(shipment.blobs.map(({ digest }) => digest));
  try {
    const files = await filesOf(blobs, artifacts, shipment);
    const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    onProgress((before) => ({ ...before, blobs: files.length, bytes }));
    await severalAtATime(files, UPLOADS_AT_A_TIME, signal, (file, either) => putBlob(parts, file, either));
    return files;
  } finally {
    letGo();
  }
}

/** Where tags never move, the first image that had the artifact keeps the tag: the index is found without it. */
async function putArtifactTag(
  repository: Repository,
  artifact: Digest,
  index: Manifest,
  signal: AbortSignal,
): Promise<void> {
  try {
    await repository.putManifest(artifactTag(artifact), index, signal);
  } catch (error) {
    if (!(error instanceof KilnError) || error.code !== 'registry.refused') throw error;
  }
}

async function putBlob(
  { repository, knownElsewhere, onProgress }: PushParts,
  file: BlobFile,
  signal: AbortSignal,
): Promise<void> {
  const onBytes = (count: number): void =>
    onProgress((before) => ({ ...before, movedBytes: before.movedBytes + count }));
  const how = await repository.putBlob(file, knownElsewhere(file.digest), onBytes, signal);
  onProgress((before) => ({
    ...before,
    doneBlobs: before.doneBlobs + 1,
    mountedBlobs: before.mountedBlobs + (how === 'mounted' ? 1 : 0),
    movedBlobs: before.movedBlobs + (how === 'sent' ? 1 : 0),
  }));
}

async function storedManifests(blobs: FileBlobStore, image: Image): Promise<StoredManifest[]> {
  const stored = image.artifacts.filter(isStored);
  if (stored.length === 0) {
    throw new KilnError(
      'target.unsupported',
      `No artifact of ${image.component}@${image.version} is kept here.`,
      {
        next: 'Push an image that has a bundle or a container: others stay with their provider.',
      },
    );
  }
  return Promise.all(
    stored.map(async (artifact) => {
      const text = await blobs.readText(artifact.digest);
      return { artifact, mediaType: parseManifest(text, artifact.digest).mediaType, text };
    }),
  );
}

/** Every blob once; those that are made here are put into the store, where the others are. */
async function filesOf(
  blobs: FileBlobStore,
  artifacts: readonly StoredManifest[],
  shipment: Shipment,
): Promise<BlobFile[]> {
  const files = new Map<Digest, BlobFile>();
  for (const { artifact, text } of artifacts) {
    for (const { digest, size } of parseManifest(text, artifact.digest).blobs) {
      if (!files.has(digest)) files.set(digest, { digest, sizeBytes: size, file: await blobs.path(digest) });
    }
  }
  for (const { digest, text } of shipment.blobs) {
    await blobs.write(Buffer.from(text));
    files.set(digest, { digest, sizeBytes: Buffer.byteLength(text), file: await blobs.path(digest) });
  }
  // The largest first, so that none of the lanes ends long after the others.
  return [...files.values()].sort((a, b) => b.sizeBytes - a.sizeBytes);
}
