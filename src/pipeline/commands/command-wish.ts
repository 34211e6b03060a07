/** What a `cmd` task asks for, once its arguments have been read. */
import type { KeptArtifact } from '../../domain/ports/artifacts.ts';
import type { CheckoutOptions } from '../../domain/trigger.ts';

export interface CacheWish {
  /** Names the content; with `files`, together with what those hold. */
  readonly key: string;
  readonly files: readonly string[];
  /** Kept between runs: in the source, or in `~/`. */
  readonly paths: readonly string[];
}

export interface ServiceWish {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command?: readonly string[] | undefined;
  /** A shell command inside it that ends well once it is ready; without one, the image's own health check counts. */
  readonly health?: string | undefined;
  readonly timeoutSeconds: number;
}

export interface CommandLimits {
  readonly memoryMb?: number | undefined;
  /** Processors, in parts: 0.5 is half of one. */
  readonly cpus?: number | undefined;
  readonly processes?: number | undefined;
}

export interface CommandWish {
  readonly commands: readonly string[];
  readonly source?: string | undefined;
  readonly commit?: string | undefined;
  /** How a repository is checked out. */
  readonly checkout: CheckoutOptions;
  readonly environment: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
  /** Name of the secret by the variable, or the file, that holds it while the commands run. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly secretFiles: Readonly<Record<string, string>>;
  readonly caches: readonly CacheWish[];
  readonly services: Readonly<Record<string, ServiceWish>>;
  readonly limits: CommandLimits;
  /** It may speak to the machine's Docker engine, and so do there what it likes. */
  readonly docker: boolean;
  /** Digest of an artifact by the folder that it is unpacked into. */
  readonly inputs: Readonly<Record<string, string>>;
  /** What is kept as an artifact, by its name. */
  readonly artifacts: Readonly<Record<string, readonly string[]>>;
  readonly timeoutSeconds: number;
}

/** What is left of commands that ended well. */
export type CommandOutput = {
  readonly exitCode: number;
  /** The end of what they wrote. */
  readonly output: string;
  readonly artifacts?: Readonly<Record<string, KeptArtifact>>;
};

/** The largest that is kept. */
export const ARTIFACT_BYTES = 2 * 1024 ** 3;
