import type { ConfigFileSpec, DeploySpec, ProcessSpec, RouteSpec } from './component.ts';
import type { ComponentName, Digest, EnvironmentName, ImageId, ReleaseNumber } from './ids.ts';

/** A config tree resolved and frozen; its digest is over the sorted keys and values. */
export interface ConfigSnapshot {
  readonly digest: Digest;
  readonly values: Readonly<Record<string, string>>;
  /** Rendered from the component's templates with these values. */
  readonly files: readonly RenderedFile[];
}

export interface RenderedFile {
  readonly path: ConfigFileSpec['path'];
  readonly content: string;
}

/** Everything of the definition that applies to this release in its environment. */
export interface ReleaseSettings {
  readonly target: string;
  /** The image that a bundle runs in, on targets that have no runtimes of their own. */
  readonly runtime?: string;
  readonly processes: readonly ProcessSpec[];
  readonly deploy: DeploySpec;
  readonly migrate?: string;
  readonly checks: readonly string[];
  /** Environment variables that instances get, beside PORT and KILN_*. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Image, configuration, settings and routes as one unit: what is deployed and rolled back. Immutable. */
export interface Release {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly number: ReleaseNumber;
  readonly image: ImageId;
  readonly version: string;
  readonly artifact: Digest;
  readonly config: ConfigSnapshot;
  readonly settings: ReleaseSettings;
  readonly routes: readonly RouteSpec[];
  readonly createdAtMs: number;
  readonly createdBy: string;
}

/** What became of a release, learned later. */
export interface ReleaseState {
  /** When it was last observed to be serving all traffic of its routes. */
  readonly servedAtMs?: number;
  /** Set when it could not stay up; it is not started again unless asked for by number. */
  readonly bad?: { readonly atMs: number; readonly why: string };
}
