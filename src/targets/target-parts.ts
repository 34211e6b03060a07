import type { Readable } from 'node:stream';
import type { ArtifactKind } from '../domain/component.ts';
import type { Digest } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { TargetLog } from './target-log.ts';

/** What the composition root gives to every target. */
export interface TargetParts {
  /** Absolute; below it each target keeps what belongs to it in `targets/<name>`. */
  readonly stateDirectory: string;
  /** Files and folders beside the state directory that instances must not see, such as tokens. */
  readonly hiddenPaths: readonly string[];
  /** PATH of the instances, where the runtimes of bundles are found. */
  readonly path: string;
  /** Writes the files of a bundle into a directory that exists and is empty. The bakery makes one. */
  readonly unpack: (digest: Digest, directory: string, signal: AbortSignal) => Promise<void>;
  /** What kind of artifact a digest stands for. */
  readonly kindOf: (artifact: Digest) => Promise<ArtifactKind>;
  /** A container image as a tar archive that engines load, under the given name (`repository:tag`). */
  readonly containerArchive: (artifact: Digest, name: string, signal: AbortSignal) => Promise<Readable>;
  /** Absolute path of the Docker engine's socket, whether there is one or not. */
  readonly dockerSocket: string;
  readonly clock: Clock;
  readonly log: TargetLog;
}
