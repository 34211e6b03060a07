import { KilnError } from '../domain/errors.ts';
import { type Image, isStored, type StoredArtifact } from '../domain/image.ts';
import type { Target } from '../domain/ports/target.ts';

/** The form of the image that the target would rather run; fails with `target.unsupported` where it runs none of them. */
export async function artifactFor(
  image: Image,
  target: Target,
  signal: AbortSignal,
): Promise<StoredArtifact> {
  const { artifacts: kinds } = await target.capabilities(signal);
  const stored = image.artifacts.filter(isStored);
  for (const kind of kinds) {
    const artifact = stored.find((one) => one.kind === kind);
    if (artifact !== undefined) return artifact;
  }
  const has = [...new Set(image.artifacts.map((artifact) => artifact.kind))].join(', ') || 'nothing';
  throw new KilnError(
    'target.unsupported',
    `Image ${image.id} is there as ${has}, and the target ${target.name} runs only ${kinds.join(' and ')}.`,
    { next: `Choose another target for the environment, or bake with \`image: {kind: ${kinds[0]}}\`.` },
  );
}
