import type { ProcessSpec } from './component.ts';
import {
  type ComponentName,
  type Digest,
  type EnvironmentName,
  environmentParts,
  type InstanceId,
  type ProcessName,
  type ReleaseNumber,
  type ServerGroupName,
  type ServiceKey,
} from './ids.ts';
import type { RenderedFile } from './release.ts';

export type GroupRole = 'main' | 'canary' | 'baseline' | 'check';

/** `storefront-web-live-uk-v012`; at least three digits. A role other than main stands before the number. */
export function serverGroupName(
  component: ComponentName,
  process: ProcessName,
  environment: EnvironmentName,
  release: ReleaseNumber,
  role: GroupRole = 'main',
): ServerGroupName {
  const { level, region } = environmentParts(environment);
  const suffix = role === 'main' ? '' : `-${role}`;
  return `${component}-${process}-${level}-${region}${suffix}-v${String(release).padStart(3, '0')}` as ServerGroupName;
}

/** The stored wish for a group, as the deployment's owner last decided it. */
export interface ServerGroup {
  readonly name: ServerGroupName;
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly process: ProcessName;
  readonly release: ReleaseNumber;
  readonly role: GroupRole;
  readonly target: string;
  readonly desired: number;
  /** When this size was asked for; absent where an older Kiln asked. */
  readonly askedAtMs?: number;
  /** Instances that are to go: out of the router first, then stopped once drained or at `untilMs`. */
  readonly leaving: readonly LeavingInstance[];
  /** Set when the group no longer serves: removed when drained and this time has passed. */
  readonly keepWarmUntilMs?: number;
}

export interface LeavingInstance {
  readonly instance: InstanceId;
  /** Unix time in milliseconds after which it is stopped even with requests in flight. */
  readonly untilMs: number;
}

/** All that a target needs to run a group; equal specs ask for nothing new. */
export interface GroupSpec {
  readonly group: ServerGroupName;
  readonly service: ServiceKey;
  readonly release: ReleaseNumber;
  readonly version: string;
  readonly artifact: Digest;
  /** The image that a bundle runs in, on targets that have no runtimes of their own. */
  readonly runtime?: string;
  readonly process: ProcessSpec;
  /** Clean environment of the process, without PORT and KILN_*, which the target adds. */
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly RenderedFile[];
  readonly desired: number;
  /** Instances to stop, already out of every router; beyond these a target stops none by itself. */
  readonly retire: readonly InstanceId[];
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export type InstancePhase =
  | { readonly kind: 'starting' }
  /** Running; `endpoint` once the instance itself owns the listener on its port. */
  | { readonly kind: 'running'; readonly endpoint?: Endpoint }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'exited'; readonly exitCode: number | null; readonly signal: string | null };

export interface InstanceView {
  readonly id: InstanceId;
  readonly ordinal: number;
  readonly phase: InstancePhase;
  readonly startedAtMs: number;
}

/** What a target sees of a group, and what it makes of it. */
export interface GroupObservation {
  readonly group: ServerGroupName;
  readonly instances: readonly InstanceView[];
  readonly health: GroupHealth;
  /** How the last one ended that nobody had asked to, as in `exited with code 3`; its place may be taken since. */
  readonly lastEnd?: string;
}

export type GroupHealth =
  | { readonly kind: 'steady' }
  | { readonly kind: 'backing-off'; readonly untilMs: number; readonly why: string }
  /** It cannot stay up; nothing is started any more until the group is asked for anew. */
  | { readonly kind: 'bad'; readonly why: string };
