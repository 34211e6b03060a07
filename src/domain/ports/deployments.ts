import type { Change } from '../change.ts';
import type { Decisions, Deployment, DeploymentState, OnConflict } from '../deployment.ts';
import type {
  ComponentName,
  DeploymentId,
  EnvironmentName,
  Fence,
  ReleaseNumber,
  ServiceKey,
} from '../ids.ts';
import type { Page, PageRequest } from '../page.ts';

export interface DeploymentRequest {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly reason: Deployment['reason'];
  readonly to: ReleaseNumber;
  readonly strategy: Deployment['strategy'];
  readonly onConflict: OnConflict;
}

export interface DeploymentStore {
  /**
   * Begins one, or fails with `deployment.in-progress` naming the first. `queue` waits behind it;
   * `replace` asks the first to cancel and waits behind it.
   */
  create(request: DeploymentRequest, change: Change): Promise<Deployment>;
  get(id: DeploymentId): Promise<Deployment | undefined>;
  /** Running first, then queued in order. */
  open(service: ServiceKey): Promise<readonly Deployment[]>;
  list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<Deployment>>;
  requestCancel(id: DeploymentId, change: Change): Promise<void>;
  /** Makes the oldest queued one running when none runs. */
  startNext(service: ServiceKey, fence: Fence, change: Change): Promise<Deployment | undefined>;
  /** Adds to the decisions; none is ever changed once made. */
  decide(id: DeploymentId, decisions: Decisions, fence: Fence, change: Change): Promise<Deployment>;
  /** A line of progress for those who watch. */
  progress(
    id: DeploymentId,
    data: Readonly<Record<string, unknown>>,
    fence: Fence,
    change: Change,
  ): Promise<void>;
  /** Ends it; with `deployed` the release serves from now on, in the same transaction. */
  finish(
    id: DeploymentId,
    outcome: { state: Exclude<DeploymentState, 'queued' | 'running'>; failure?: Deployment['failure'] },
    fence: Fence,
    change: Change,
  ): Promise<Deployment>;
}
