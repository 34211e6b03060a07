/** On which tags and packages two images differ. Pure. */
import type { Image } from '../domain/image.ts';

export interface Difference {
  readonly key: string;
  /** Absent: only the other has it. */
  readonly from?: string;
  readonly to?: string;
}

export function tagDifferences(from: Image, to: Image): readonly Difference[] {
  return differences(new Map(Object.entries(from.tags)), new Map(Object.entries(to.tags)));
}

export function differences(
  from: ReadonlyMap<string, string>,
  to: ReadonlyMap<string, string>,
): readonly Difference[] {
  const keys = [...new Set([...from.keys(), ...to.keys()])].sort();
  return keys.flatMap((key) => {
    const [before, after] = [from.get(key), to.get(key)];
    if (before === after) return [];
    return [
      {
        key,
        ...(before === undefined ? {} : { from: before }),
        ...(after === undefined ? {} : { to: after }),
      },
    ];
  });
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
