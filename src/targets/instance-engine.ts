import type { StopPolicy } from '../domain/component.ts';
import type { Digest, InstanceId, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { LogLine, LogQuery, TargetCapabilities } from '../domain/ports/target.ts';
import type { Endpoint, GroupSpec } from '../domain/server-group.ts';

/**
 * Why an instance is no more. Only an `exit` can be the release's own fault. `lost`: it ran, and how it ended is
 * not known. `never-started`: its command certainly did not begin.
 */
export type EndCause = 'exit' | 'port-taken' | 'stopped' | 'lost' | 'never-started';

export type EngineState =
  | { readonly kind: 'starting' }
  /** `endpoint` once the instance itself owns the listener on its port. */
  | { readonly kind: 'running'; readonly endpoint?: Endpoint }
  /** Nothing of it runs any more. */
  | {
      readonly kind: 'ended';
      readonly cause: EndCause;
      readonly exitCode: number | null;
      readonly signal: string | null;
      readonly endedAtMs: number;
      /** One sentence for people. */
      readonly why: string;
    };

export interface EngineInstance {
  readonly id: InstanceId;
  readonly group: ServerGroupName;
  readonly service: ServiceKey;
  readonly ordinal: number;
  readonly kind: 'member' | 'run';
  readonly startedAtMs: number;
  /** Keys of volumes that it must hold alone. */
  readonly exclusiveVolumes: readonly string[];
  readonly state: EngineState;
}

export interface LaunchRequest {
  readonly id: InstanceId;
  /** A `member` belongs to its group; a `run` is one command that runs to its end. */
  readonly kind: 'member' | 'run';
  readonly ordinal: number;
  readonly spec: GroupSpec;
  /** The author's own line. */
  readonly command: string;
}

/**
 * An engine that knows only single instances: processes, containers, droplets. `supervised.ts` makes a
 * whole target of it. What an engine holds it finds again after a restart; an instance that it was asked to
 * launch is known to it before anything of it runs.
 */
export interface InstanceEngine {
  readonly name: string;
  capabilities(signal: AbortSignal): Promise<TargetCapabilities>;
  prepare(artifact: Digest, signal: AbortSignal): Promise<void>;
  /** Fails early on what could never be launched here. */
  check(spec: GroupSpec, signal: AbortSignal): Promise<void>;
  launch(request: LaunchRequest, signal: AbortSignal): Promise<void>;
  /** Everything it holds, looked at now; cheap enough to be asked each few milliseconds. */
  instances(): Promise<readonly EngineInstance[]>;
  /** Ends the instance and all that it started; resolves when nothing of it runs. */
  stop(id: InstanceId, policy: StopPolicy): Promise<void>;
  /** Removes what is left of an ended instance; a recent log may stay. */
  discard(id: InstanceId): Promise<void>;
  /** The group is gone: what it shared between its instances can go. */
  discardGroup(group: ServerGroupName, artifactsInUse: ReadonlySet<Digest>): Promise<void>;
  /** Nothing of the service runs: its volumes go, with what is on them. */
  removeVolumes(service: ServiceKey): Promise<void>;
  /** The last lines of its output. */
  tail(id: InstanceId, lines: number): Promise<readonly string[]>;
  logs(groups: readonly ServerGroupName[], query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Something may have changed; a hint. */
  onChange(listener: () => void): () => void;
  close(): Promise<void>;
}

/** Names one volume of one service on this target. */
function volumeKey(service: ServiceKey, name: string): string {
  return `${service}/${name}`;
}

export function exclusiveVolumes(spec: GroupSpec): readonly string[] {
  return spec.process.volumes
    .filter((volume) => !volume.shared)
    .map((volume) => volumeKey(spec.service, volume.name));
}
