import type { ArtifactKind } from '../component.ts';
import type { Digest, Fence, InstanceId, ServerGroupName, ServiceKey } from '../ids.ts';
import type { GroupObservation, GroupSpec } from '../server-group.ts';

/** What a target can do. Callers ask for one of these, never for a target by name. */
export interface TargetCapabilities {
  /** Kinds of artifacts that it runs, the one it would rather have first. */
  readonly artifacts: readonly ArtifactKind[];
  /** True: the engine keeps groups at their size itself; Kiln only states what it wants. */
  readonly keepsGroups: boolean;
  readonly volumes: boolean;
  readonly exec: boolean;
  readonly runOnce: boolean;
  /** Instances cannot reach each other's files, nor Kiln's. */
  readonly isolation: 'sandbox' | 'none';
  /** `kiln`: endpoints are given to Kiln's routers; `own`: the engine's own load balancer. */
  readonly traffic: 'kiln' | 'own';
}

export interface RunOnceResult {
  readonly exitCode: number;
  /** The last lines of its output. */
  readonly logTail: readonly string[];
}

export interface LogQuery {
  /** Lines from the end to begin with. */
  readonly tail: number;
  readonly follow: boolean;
}

export interface LogLine {
  readonly instance: InstanceId;
  readonly text: string;
}

/**
 * Where instances run. Every call is safe to repeat, takes an AbortSignal, and those that change
 * something carry a fence: lower than one seen before for the service, they fail with `fence.stale`.
 */
export interface Target {
  readonly name: string;
  /** Asked at each use: what really works on this machine, found by trying. */
  capabilities(signal: AbortSignal): Promise<TargetCapabilities>;
  /** Brings the artifact to where instances run; at once when it is there. */
  prepare(artifact: Digest, signal: AbortSignal): Promise<void>;
  /**
   * States what is wanted: starts what is missing up to `desired`, stops `retire`, leaves all else alone.
   * Returns when it has begun, not when instances are up. Asking anew for a group that was `bad` starts it again
   * only when `afresh` is true.
   */
  ensure(
    spec: GroupSpec,
    fence: Fence,
    options: { readonly afresh: boolean },
    signal: AbortSignal,
  ): Promise<void>;
  /** Undefined: there is no such group here. Broken is an error, never undefined. */
  observe(group: ServerGroupName, signal: AbortSignal): Promise<GroupObservation | undefined>;
  /** Every group of the service that has anything here, known to the store or not. */
  groups(service: ServiceKey, signal: AbortSignal): Promise<readonly ServerGroupName[]>;
  /** Every service that has anything here. */
  services(signal: AbortSignal): Promise<readonly ServiceKey[]>;
  /** Stops one instance and starts another in its place. */
  replace(instance: InstanceId, fence: Fence, signal: AbortSignal): Promise<void>;
  /** Stops what is left of the group, by its stop policy, and removes all it had but volumes. */
  remove(group: ServerGroupName, fence: Fence, signal: AbortSignal): Promise<void>;
  /**
   * Removes every volume of the service with what is on it, for what was only tried out. Fails with `volume.busy`
   * while anything of the service runs.
   */
  removeVolumes(service: ServiceKey, fence: Fence, signal: AbortSignal): Promise<void>;
  /**
   * Runs a command of the image to its end, once per key: asked again, it joins the run that is under way
   * or returns its recorded result.
   */
  runOnce(
    spec: GroupSpec,
    command: string,
    key: string,
    fence: Fence,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunOnceResult>;
  logs(groups: readonly ServerGroupName[], query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Fires when an observation may have changed; a hint, never the only way to learn of it. */
  onChange(listener: (group: ServerGroupName) => void): () => void;
  /** Stops watching. Instances go on. */
  close(): Promise<void>;
}
