import type { Strategy } from './component.ts';
import type { ComponentName, DeploymentId, EnvironmentName, Fence, ReleaseNumber } from './ids.ts';

export type DeploymentReason = 'deploy' | 'rollback';
export type OnConflict = 'refuse' | 'queue' | 'replace';

/**
 * queued → running → deployed            the new release serves, as observed through the router
 *                  → failed | cancelled  what served before serves again
 */
export type DeploymentState = 'queued' | 'running' | 'deployed' | 'failed' | 'cancelled';

/**
 * What cannot be observed, and so is stored before the step that it decides.
 * Once `abandoned` is set the deployment only goes back.
 */
export interface Decisions {
  readonly startedAtMs?: number;
  readonly deadlineMs?: number;
  /** Instances by process: what the new release starts with, and what to go back to. */
  readonly sizes?: {
    readonly to: Readonly<Record<string, number>>;
    readonly from: Readonly<Record<string, number>>;
  };
  readonly migratedAtMs?: number;
  readonly verifiedAtMs?: number;
  readonly checkedAtMs?: number;
  readonly abandoned?: {
    readonly atMs: number;
    readonly code: string;
    readonly why: string;
    /** What to do about it, where more is known than for any failure. */
    readonly next?: string;
  };
  readonly cancelRequestedAtMs?: number;
}

export interface Deployment {
  readonly id: DeploymentId;
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly reason: DeploymentReason;
  /** What served when it began; absent for the first. */
  readonly from?: ReleaseNumber;
  readonly to: ReleaseNumber;
  readonly strategy: Strategy;
  readonly state: DeploymentState;
  readonly decisions: Decisions;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly endedAtMs?: number;
  readonly failure?: { readonly code: string; readonly message: string; readonly next?: string };
}

/** The state of one component in one environment that is not in any release. */
export interface ServiceState {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  /** The release that should serve; absent before the first deployment has ended well. */
  readonly serving?: ReleaseNumber;
  /** True after `kiln stop`: nothing is kept running until the next deployment. */
  readonly stopped: boolean;
  /** Share of traffic by server group name. */
  readonly weights: Readonly<Record<string, number>>;
}

export interface Lease {
  readonly holder: string;
  readonly fence: Fence;
  readonly expiresAtMs: number;
}
