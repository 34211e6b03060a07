/** Image manifests and configs as the OCI image specification v1.1 lays them down, as far as bundles need them. */
import { z } from 'zod';
import type { ArtifactKind } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import { type Digest, digest as parseDigest } from '../domain/ids.ts';
import type { BlobStore } from '../domain/ports/blobs.ts';
import { sha256 } from './blobs.ts';

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

export interface Descriptor {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface Manifest {
  readonly config: Descriptor;
  /** In the order they are laid on each other; uncompressed tar archives. */
  readonly layers: readonly Descriptor[];
  readonly kind: ArtifactKind;
}

const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.string().transform((text) => parseDigest(text)),
  size: z.number().int().nonnegative(),
});

/** What a manifest says of itself, so that who has only its digest knows what it is; a bundle's says nothing. */
const KIND_ANNOTATION = 'kiln.kind';

/** Forms of a machine image other than an archive of its files. */
const MACHINE_TYPE = /^application\/vnd\.kiln\.machine\.[a-z0-9]+$/;

const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  config: descriptorSchema,
  layers: z.array(
    descriptorSchema.extend({ mediaType: z.union([z.literal(LAYER_TYPE), z.string().regex(MACHINE_TYPE)]) }),
  ),
  annotations: z.record(z.string(), z.string()).optional(),
});

/**
 * The config says nothing of machine or time, so that one tree has one digest everywhere. What the architecture is,
 * when it matters, stands in the catalogue's artifact.
 */
function configText(layers: readonly Descriptor[]): string {
  return JSON.stringify({
    architecture: 'unknown',
    os: 'linux',
    config: { WorkingDir: '/app' },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
  });
}

function manifestText(config: Descriptor, layers: readonly Descriptor[], kind: ArtifactKind): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, digest: config.digest, size: config.sizeBytes },
    layers: layers.map((layer) => ({ mediaType: LAYER_TYPE, digest: layer.digest, size: layer.sizeBytes })),
    ...(kind === 'bundle' ? {} : { annotations: { [KIND_ANNOTATION]: kind } }),
  });
}

/** Writes config and manifest above layers that are in the store already; returns the image's digest. */
export async function writeManifest(blobs: BlobStore, layers: readonly Descriptor[]): Promise<Digest> {
  const config = configText(layers);
  await blobs.write(Buffer.from(config));
  const described = { digest: sha256(config), sizeBytes: Buffer.byteLength(config) };
  return blobs.write(Buffer.from(manifestText(described, layers, 'bundle')));
}

/** Writes the manifest of a container image above a config and layers that are in the store already. */
export function writeContainerManifest(
  blobs: BlobStore,
  config: Descriptor,
  layers: readonly Descriptor[],
): Promise<Digest> {
  return blobs.write(Buffer.from(manifestText(config, layers, 'container')));
}

/** The same of a machine image above its one layer: an archive of its files, or another form with a type of ours. */
export async function writeMachineManifest(
  blobs: BlobStore,
  layer: Descriptor & { readonly mediaType: string },
  arch: string,
): Promise<Digest> {
  const config = JSON.stringify({
    architecture: arch,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: {
      mediaType: CONFIG_TYPE,
      digest: await blobs.write(Buffer.from(config)),
      size: Buffer.byteLength(config),
    },
    layers: [{ mediaType: layer.mediaType, digest: layer.digest, size: layer.sizeBytes }],
    annotations: { [KIND_ANNOTATION]: 'machine' },
  };
  return blobs.write(Buffer.from(JSON.stringify(manifest)));
}

/** Whether the digest is of an archive of all files of a machine, and not of another form of it. */
export async function isRootfs(blobs: BlobStore, digest: Digest): Promise<boolean> {
  const manifest = manifestSchema.safeParse(parseJson(await blobs.readText(digest)));
  return manifest.success && manifest.data.layers[0]?.mediaType === LAYER_TYPE;
}

/** The archive of all files of a machine image; fails with `input.invalid` when the digest is of another form. */
export async function rootfsArchive(blobs: BlobStore, digest: Digest): Promise<Digest> {
  const manifest = manifestSchema.safeParse(parseJson(await blobs.readText(digest)));
  const layer = manifest.success ? manifest.data.layers[0] : undefined;
  if (layer?.mediaType === LAYER_TYPE) return layer.digest;
  throw new KilnError('input.invalid', `${digest} is no archive of a root filesystem.`, {
    next: 'Give the digest of the tar artifact of a machine image.',
  });
}

/** Fails as `readManifest` does. */
export async function artifactKind(blobs: BlobStore, digest: Digest): Promise<ArtifactKind> {
  return (await readManifest(blobs, digest)).kind;
}

/** Fails with `blob.missing`, `blob.damaged`, or `input.invalid` when the digest is of something else. */
export async function readManifest(blobs: BlobStore, digest: Digest): Promise<Manifest> {
  const parsed = manifestSchema.safeParse(parseJson(await blobs.readText(digest)));
  if (!parsed.success) {
    throw new KilnError('input.invalid', `${digest} is not the manifest of an image.`, {
      cause: parsed.error,
      next: 'Give the digest of an artifact of kind bundle or container.',
    });
  }
  const { config, layers, annotations } = parsed.data;
  return {
    config: { digest: config.digest, sizeBytes: config.size },
    layers: layers.map((layer) => ({ digest: layer.digest, sizeBytes: layer.size })),
    kind: kindOf(annotations?.[KIND_ANNOTATION]),
  };
}

function kindOf(annotation: string | undefined): ArtifactKind {
  return annotation === 'container' || annotation === 'machine' ? annotation : 'bundle';
}

/** Every blob that the manifest stands on, itself included. */
export function blobsOf(digest: Digest, manifest: Manifest): readonly Digest[] {
  return [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
}

/** Whether the manifest and all that it names are there. */
export async function isWholeInBlobs(blobs: BlobStore, digest: Digest): Promise<boolean> {
  try {
    for (const blob of blobsOf(digest, await readManifest(blobs, digest))) {
      if (!(await blobs.has(blob))) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof KilnError && error.code === 'blob.missing') return false;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so not a manifest: the schema says so.
    return undefined;
  }
}
