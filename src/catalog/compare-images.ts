/** On which tags, packages and files two images differ. */
import { type Difference, differences, type FileChange } from '../domain/difference.ts';
import type { Digest } from '../domain/ids.ts';
import type { Image, StoredArtifact } from '../domain/image.ts';

/** What looks into images; fails with `blob.missing` or `blob.damaged` where their bytes have gone. */
export interface ImageInsides {
  readonly imageFiles: {
    changes(from: Digest, to: Digest, signal: AbortSignal): Promise<readonly FileChange[]>;
  };
  readonly sboms: {
    /** The form of the image that is kept as files here; undefined: none is. */
    openable(image: Image): Promise<StoredArtifact | undefined>;
    of(image: Image, signal: AbortSignal): Promise<string>;
  };
}

export interface InsideChanges {
  readonly files: readonly FileChange[];
  readonly packages: readonly Difference[];
}

/** Undefined: one of the two is not kept as files here, or they are of different kinds. */
export async function insideChanges(
  { imageFiles, sboms }: ImageInsides,
  from: Image,
  to: Image,
  signal: AbortSignal,
): Promise<InsideChanges | undefined> {
  const [before, after] = [await sboms.openable(from), await sboms.openable(to)];
  if (before === undefined || after === undefined || before.kind !== after.kind) return undefined;
  const files = await imageFiles.changes(before.digest, after.digest, signal);
  const packages = differences(
    packagesIn(await sboms.of(from, signal)),
    packagesIn(await sboms.of(to, signal)),
  );
  return { files, packages };
}

export function tagDifferences(from: Image, to: Image): readonly Difference[] {
  return differences(new Map(Object.entries(from.tags)), new Map(Object.entries(to.tags)));
}

/** Versions by package, out of a CycloneDX document; several of one package in the order of their text. */
export function packagesIn(sbom: string): ReadonlyMap<string, string> {
  const document: unknown = JSON.parse(sbom);
  const versions = new Map<string, string[]>();
  if (typeof document !== 'object' || document === null || !('components' in document)) return new Map();
  for (const one of Array.isArray(document.components) ? document.components : []) {
    const name = String(one?.purl ?? one?.name ?? '').replace(/@[^@/]*$/, '');
    if (name !== '') versions.set(name, [...(versions.get(name) ?? []), String(one?.version ?? '')]);
  }
  return new Map([...versions].map(([name, all]) => [name, all.toSorted().join(', ')]));
}

export function sizeOf(image: Image): number {
  return image.artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0);
}
