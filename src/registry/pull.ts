/**
 * Takes an image over from a registry. Each blob appears in the store only when it is whole and its digest right; the
 * image's record is written last, when everything that it stands on is there. So an interruption, a full disk or a
 * registry that dies or lies leaves no image, and what had come is there for the next pull.
 */
import { rm } from 'node:fs/promises';
import type { FileBlobStore } from '../bakery/blobs.ts';
import { readManifest } from '../bakery/oci-layout.ts';
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { type Image, isStored } from '../domain/image.ts';
import type { Store } from '../domain/ports/store.ts';
import { parseRecord, type ShippedImage } from './image-record.ts';
import { severalAtATime } from './patience.ts';
import type { RegistryReference } from './reference.ts';
import type { Manifest, Repository } from './repository.ts';
import {
  artifactTag,
  asIndex,
  type Descriptor,
  parseIndex,
  parseManifest,
  type Shipped,
} from './shipment.ts';
import type { OnProgress } from './transfer-progress.ts';

const DOWNLOADS_AT_A_TIME = 4;
/** A record is a few kilobytes; templates and checks may come with it. */
const RECORD_LIMIT_BYTES = 64 * 1024 * 1024;

export interface PullParts {
  readonly blobs: FileBlobStore;
  readonly store: Pick<Store, 'images'>;
  readonly repository: Repository;
  readonly onProgress: OnProgress;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

export interface Pulled {
  /** `unchanged`: this version was here already, with the same artifacts. */
  readonly kind: 'pulled' | 'unchanged';
  readonly image: Image;
  /** Of the index. */
  readonly digest: Digest;
}

export async function pullImage(
  parts: PullParts,
  reference: RegistryReference,
  change: () => Change,
  signal: AbortSignal,
): Promise<Pulled> {
  const { repository, store } = parts;
  const where = placeOf(reference);
  const { index, shipped } = await findIndex(repository, reference, where, signal);
  const image = await fetchRecord(parts, shipped.record, signal);
  const wanted = image.artifacts.filter(isStored).map((artifact) => artifact.digest);
  if (wanted.length === 0 || wanted.some((digest) => !shipped.artifacts.includes(digest))) {
    throw new KilnError('registry.refused', `${where} does not hold the artifacts that its record names.`, {
      next: 'Push the image again from where it was baked.',
    });
  }
  const there = await store.images.byVersion(image.component, image.version);
  if (there !== undefined) assertSame(there, image);
  const letGo = await fetchArtifacts(parts, image, wanted, signal);
  try {
    if (there !== undefined) return { kind: 'unchanged', image: there, digest: index.digest };
    signal.throwIfAborted();
    const made = await store.images.create(await recordHere(parts, image, where, index), change());
    return { kind: 'pulled', image: made, digest: index.digest };
  } finally {
    letGo();
  }
}

/** By the digest of the index, of one of the image's artifacts, or by a tag. */
async function findIndex(
  repository: Repository,
  { digest, tag = 'latest' }: RegistryReference,
  where: string,
  signal: AbortSignal,
): Promise<{ readonly index: Manifest; readonly shipped: Shipped }> {
  const named = await repository.manifest(digest ?? tag, signal);
  if (named === undefined) throw notThere(where);
  if (digest !== undefined && asIndex(named) === undefined) {
    const index = await repository.manifest(artifactTag(digest), signal);
    const shipped = index === undefined ? undefined : asIndex(index);
    if (index !== undefined && shipped?.artifacts.includes(digest)) return { index, shipped };
  }
  return { index: named, shipped: parseIndex(named, where) };
}

async function fetchRecord(parts: PullParts, digest: Digest, signal: AbortSignal): Promise<ShippedImage> {
  const manifest = await manifestOf(parts.repository, digest, signal);
  const [record] = parseManifest(manifest.text, digest).blobs.slice(1);
  if (record === undefined || record.size > RECORD_LIMIT_BYTES) {
    throw new KilnError(
      'registry.refused',
      'The image was pushed with a record that this Kiln cannot take.',
      {
        next: 'Push the image again from where it was baked.',
      },
    );
  }
  const letGo = await parts.blobs.holds.hold([record.digest]);
  try {
    await fetchBlob(parts, record, signal);
    return parseRecord(await parts.blobs.readText(record.digest));
  } finally {
    letGo();
  }
}

/** What has come is held, until the image is recorded: answers how to let go of it. */
async function fetchArtifacts(
  parts: PullParts,
  image: ShippedImage,
  wanted: readonly Digest[],
  signal: AbortSignal,
): Promise<() => void> {
  const { blobs, repository, onProgress } = parts;
  const manifests = await Promise.all(wanted.map((digest) => manifestOf(repository, digest, signal)));
  const needed = new Map<Digest, Descriptor>();
  for (const { digest, text } of manifests) {
    for (const blob of parseManifest(text, digest).blobs) needed.set(blob.digest, blob);
  }
  const all = [...needed.values()].sort((a, b) => b.size - a.size);
  const bytes = all.reduce((sum, blob) => sum + blob.size, 0);
  onProgress((before) => ({ ...before, blobs: all.length, bytes }));
  const letGo = await blobs.holds.hold([...needed.keys(), ...wanted]);
  try {
    await severalAtATime(all, DOWNLOADS_AT_A_TIME, signal, (blob, either) => fetchBlob(parts, blob, either));
    // Whoever finds a manifest finds what it names.
    for (const { text } of manifests) await blobs.write(Buffer.from(text));
    for (const artifact of image.artifacts.filter(isStored)) {
      if (artifact.kind === 'bundle') await readManifest(blobs, artifact.digest);
    }
  } catch (error) {
    letGo();
    throw error;
  }
  return letGo;
}

async function fetchBlob(
  { blobs, repository, onProgress, now }: PullParts,
  { digest, size }: Descriptor,
  signal: AbortSignal,
): Promise<void> {
  const isThere = await blobs.has(digest);
  // After a crash before the image is recorded, the next pull still finds what was wanted just now.
  if (isThere) await blobs.touch(digest, now());
  else {
    const staged = await blobs.stage();
    try {
      await repository.getBlob(
        digest,
        size,
        staged,
        (count) => onProgress((before) => ({ ...before, movedBytes: before.movedBytes + count })),
        signal,
      );
      await blobs.adopt(staged, digest);
    } finally {
      await rm(staged, { force: true });
    }
  }
  onProgress((before) => ({
    ...before,
    doneBlobs: before.doneBlobs + 1,
    movedBlobs: before.movedBlobs + (isThere ? 0 : 1),
  }));
}

async function manifestOf(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Manifest> {
  const manifest = await repository.manifest(digest, signal);
  if (manifest !== undefined) return manifest;
  throw new KilnError('registry.refused', `The registry names ${digest} and does not have it.`, {
    next: 'Push the image again from where it was baked.',
  });
}

/** It keeps its id, so that lineage holds across Kilns; a parent that is not here is named by its tag alone. */
async function recordHere(
  { store }: PullParts,
  { parent, ...image }: ShippedImage,
  where: string,
  index: Manifest,
): Promise<ShippedImage> {
  const known = parent !== undefined && (await store.images.get(parent)) !== undefined;
  const from = `${where.split('@')[0]?.replace(/:[^/:]*$/, '')}@${index.digest}`;
  return { ...image, ...(known ? { parent } : {}), tags: { ...image.tags, 'pulled-from': from } };
}

function assertSame(there: Image, shipped: ShippedImage): void {
  const digests = (image: ShippedImage): string =>
    image.artifacts
      .map((artifact) => artifact.digest ?? artifact.reference ?? '')
      .sort()
      .join(' ');
  if (there.inputKey === shipped.inputKey && digests(there) === digests(shipped)) return;
  throw new KilnError(
    'input.conflict',
    `${there.component} ${there.version} is here already, as image ${there.id}, and is another one.`,
    {
      next: 'Two images cannot have one version: bake the other under a version of its own, and push that.',
      details: { image: there.id },
    },
  );
}

function placeOf({ host, name, tag, digest }: RegistryReference): string {
  return `${host}/${name}${digest === undefined ? `:${tag ?? 'latest'}` : `@${digest}`}`;
}

function notThere(where: string): KilnError {
  return new KilnError('not-found', `The registry has no ${where}.`, {
    next: 'See that it was pushed, and under this name.',
  });
}
