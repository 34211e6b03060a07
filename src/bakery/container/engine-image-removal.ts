/**
 * What bakes and Packer leave in the Docker engine: a container image that others were built from, the cache of a
 * component's builds, and images that Packer imported.
 */
import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import { type ComponentName, type Digest, hexOf } from '../../domain/ids.ts';
import type { ArtifactRemoval } from '../../domain/ports/artifact-removal.ts';

/** The engine's name of a base that was loaded into it. */
function baseImageName(digest: Digest): string {
  return `kiln-base:${hexOf(digest)}`;
}

/** The engine's name of a component's last build, which the next one takes its layers from. */
function buildCacheName(component: ComponentName): string {
  return `kiln-build-${component}:latest`;
}

export interface EngineImageParts {
  readonly client: EngineClient;
  /** Whether the component has an image still. */
  readonly hasImages: (component: ComponentName) => Promise<boolean>;
}

export function engineImageRemoval({ client, hasImages }: EngineImageParts): ArtifactRemoval {
  const remove = async (name: string, signal: AbortSignal): Promise<void> => {
    try {
      await client.send({ method: 'DELETE', path: `/images/${encodeURIComponent(name)}`, signal });
    } catch (error) {
      if (!isRefusal(error, 404)) throw error;
    }
  };
  return {
    name: 'docker',
    concerns: ({ kind, provider }) => provider === 'docker' || (provider === 'local' && kind === 'container'),
    remove: async ({ digest, reference }, component, signal) => {
      if (reference !== undefined) await remove(reference, signal);
      if (digest !== undefined) await remove(baseImageName(digest), signal);
      if (!(await hasImages(component))) await remove(buildCacheName(component), signal);
    },
  };
}
