import type { ComponentName } from '../ids.ts';
import type { Artifact } from '../image.ts';

/**
 * Deletes, at one kind of provider, what is left there of images that were swept. Each call is safe to repeat, and after
 * a crash in the middle of one the next ends it: what is gone already is no failure.
 */
export interface ArtifactRemoval {
  /** Of the provider, for people: failures name it. */
  readonly name: string;
  concerns(artifact: Artifact): boolean;
  /** Fails while something of it may be left. */
  remove(artifact: Artifact, component: ComponentName, signal: AbortSignal): Promise<void>;
}
