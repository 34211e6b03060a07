import type { ArtifactKind, ComponentDefinition } from '../component.ts';
import type { Digest, ImageId } from '../ids.ts';
import type { Artifact } from '../image.ts';

export interface BuildRequest {
  readonly definition: ComponentDefinition;
  /** Absolute path of the component's folder; only read. */
  readonly directory: string;
  /** What the base stood for when the bake began. */
  readonly base?: ResolvedBase;
}

/** A channel of another component, resolved: later moves of the channel change nothing for this bake. */
export interface ResolvedBase {
  readonly image: ImageId;
  readonly artifacts: readonly Artifact[];
}

/** What the image will be called, for builders whose artifacts carry that with them. */
export interface BuildNaming {
  readonly version: string;
  /** The image's own, as the catalogue will hold them. */
  readonly tags: Readonly<Record<string, string>>;
  readonly atMs: number;
}

export type BuildProgress =
  | { readonly kind: 'stage'; readonly name: string; readonly detail: string }
  | { readonly kind: 'output'; readonly line: string };

export interface BuildPlan {
  /** Digest over all inputs; equal keys mean that building again gives nothing new. */
  readonly inputKey: Digest;
}

export interface BuildResult {
  readonly inputKey: Digest;
  readonly artifacts: readonly Artifact[];
}

/** A file on which two builds of equal inputs differ. */
export interface BuildDifference {
  readonly path: string;
  readonly change: 'added' | 'removed' | 'content' | 'mode';
}

/** Makes artifacts of one kind. A failed or aborted build leaves nothing behind. */
export interface Builder {
  readonly kind: ArtifactKind;
  /** Cheap: reads what changed, builds nothing. */
  plan(request: BuildRequest, signal: AbortSignal): Promise<BuildPlan>;
  build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
    naming?: BuildNaming,
  ): Promise<BuildResult>;
  /** Builds again without any cache and compares with the artifact. */
  verify(
    request: BuildRequest,
    artifact: Artifact,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly BuildDifference[]>;
  /** Whether all of the artifact is still where it was put. */
  isWhole(artifact: Artifact, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}
