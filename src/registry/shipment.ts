/**
 * An image in a registry: an OCI index that names the manifest of each stored artifact, and one of Kiln's own that
 * holds the image's record. So whatever knows OCI can copy or run the artifacts, and another Kiln can take the whole
 * image. The image's tags are the index's annotations. Pure: the same image gives the same bytes.
 */
import { z } from 'zod';
import { sha256 } from '../bakery/blobs.ts';
import { KilnError } from '../domain/errors.ts';
import { type Digest, hexOf, digest as parseDigest } from '../domain/ids.ts';
import type { StoredArtifact } from '../domain/image.ts';
import { recordText, type ShippedImage } from './image-record.ts';
import { INDEX_TYPE, MANIFEST_TYPE, type Manifest } from './repository.ts';

const RECORD_TYPE = 'application/vnd.kiln.image.v1+json';
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';
const EMPTY = '{}';
const TAG_PREFIX = 'kiln.tag.';

/** A blob that is small enough to be made on the spot. */
export interface SmallBlob {
  readonly digest: Digest;
  readonly text: string;
}

export interface StoredManifest {
  readonly artifact: StoredArtifact;
  readonly mediaType: string;
  readonly text: string;
}

/** By it the image is found from the digest of one of its artifacts; of several that have the artifact, the last pushed. */
export function artifactTag(artifact: Digest): string {
  return `kiln-artifact-${hexOf(artifact)}`;
}

/** Something about the image that travels with it, such as its SBOM. */
export interface Attachment {
  /** Media type of the text. */
  readonly type: string;
  readonly text: string;
}

export interface Shipment {
  readonly blobs: readonly SmallBlob[];
  /** To be put before the index. */
  readonly manifests: readonly Manifest[];
  readonly index: Manifest;
}

export function shipmentOf(
  image: ShippedImage,
  artifacts: readonly StoredManifest[],
  attachments: readonly Attachment[],
): Shipment {
  const attached = [{ type: RECORD_TYPE, text: recordText(image) }, ...attachments].map(attachmentManifest);
  const index = {
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    artifactType: RECORD_TYPE,
    manifests: [
      ...artifacts.map(({ artifact, mediaType, text }) => ({
        ...descriptorOf(mediaType, text),
        platform: { architecture: artifact.arch, os: 'linux' },
        annotations: { 'kiln.kind': artifact.kind },
      })),
      // Whoever looks for something to run finds that these are for no machine.
      ...attached.map(({ type, manifest }) => ({
        ...descriptorOf(MANIFEST_TYPE, manifest.text),
        artifactType: type,
        platform: { architecture: 'unknown', os: 'unknown' },
      })),
    ],
    annotations: annotationsOf(image),
  };
  return {
    blobs: [small(EMPTY), ...attached.map(({ blob }) => blob)],
    manifests: attached.map(({ manifest }) => manifest),
    index: manifestOf(INDEX_TYPE, JSON.stringify(index)),
  };
}

/** The standard names of the OCI image specification, then every tag under Kiln's own. */
function annotationsOf({ component, version, tags, createdAtMs }: ShippedImage): Record<string, string> {
  const standard: Record<string, string | undefined> = {
    'org.opencontainers.image.title': component,
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.created': new Date(createdAtMs).toISOString(),
    'org.opencontainers.image.revision': tags['git.sha'],
    'org.opencontainers.image.source': tags.repository,
  };
  const own = Object.entries(tags).map(([key, value]) => [`${TAG_PREFIX}${key}`, value] as const);
  const all = [...Object.entries(standard), ...own].filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function attachmentManifest({ type, text }: Attachment): {
  type: string;
  blob: SmallBlob;
  manifest: Manifest;
} {
  const content = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: type,
    config: descriptorOf(EMPTY_TYPE, EMPTY),
    layers: [descriptorOf(type, text)],
  };
  return { type, blob: small(text), manifest: manifestOf(MANIFEST_TYPE, JSON.stringify(content)) };
}

function descriptorOf(mediaType: string, text: string): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest: sha256(text), size: Buffer.byteLength(text) };
}

function manifestOf(mediaType: string, text: string): Manifest {
  return { digest: sha256(text), mediaType, text };
}

function small(text: string): SmallBlob {
  return { digest: sha256(text), text };
}

const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.string().transform((text) => parseDigest(text)),
  size: z.number().int().nonnegative(),
});
export type Descriptor = z.infer<typeof descriptorSchema>;

const indexSchema = z.object({
  schemaVersion: z.literal(2),
  manifests: z.array(descriptorSchema.extend({ artifactType: z.string().optional() })).max(200),
});
const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: descriptorSchema,
  layers: z.array(descriptorSchema).max(10_000),
});

export interface Shipped {
  /** The manifest that holds the record. */
  readonly record: Digest;
  readonly artifacts: readonly Digest[];
}

/** Undefined: no index, or one that Kiln did not push. */
export function asIndex({ text }: Manifest): Shipped | undefined {
  const parsed = indexSchema.safeParse(jsonOf(text));
  const record = parsed.data?.manifests.find((entry) => entry.artifactType === RECORD_TYPE);
  if (parsed.data === undefined || record === undefined) return undefined;
  const artifacts = parsed.data.manifests.filter((entry) => entry.artifactType === undefined);
  return { record: record.digest, artifacts: artifacts.map((entry) => entry.digest) };
}

/** Fails with `registry.refused` when Kiln did not push it. */
export function parseIndex(manifest: Manifest, where: string): Shipped {
  const shipped = asIndex(manifest);
  if (shipped !== undefined) return shipped;
  throw new KilnError('registry.refused', `${where} is not an image that Kiln has pushed.`, {
    next: 'Give the tag or the digest that `kiln push` named.',
  });
}

/** Everything that a manifest stands on. */
export function parseManifest(text: string, digest: Digest): { mediaType: string; blobs: Descriptor[] } {
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) {
    throw new KilnError('registry.refused', `${digest} is not a manifest that Kiln can read.`, {
      cause: parsed.error,
      next: 'Push the image again from where it was baked.',
    });
  }
  const { mediaType = MANIFEST_TYPE, config, layers } = parsed.data;
  const unique = new Map([config, ...layers].map((blob) => [blob.digest, blob]));
  return { mediaType, blobs: [...unique.values()] };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so neither an index nor a manifest: the schema says so.
    return undefined;
  }
}
