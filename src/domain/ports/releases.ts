import type { Change } from '../change.ts';
import type { ComponentName, EnvironmentName, Fence, ReleaseNumber, ServiceKey } from '../ids.ts';
import type { Page, PageRequest } from '../page.ts';
import type { Release, ReleaseState } from '../release.ts';

export type ReleaseWithState = Release & ReleaseState;

export interface ReleaseStore {
  /** Allocates the next number of the service. Fails with `route.conflict` when another service has the route. */
  create(release: Omit<Release, 'number' | 'createdAtMs' | 'createdBy'>, change: Change): Promise<Release>;
  get(
    component: ComponentName,
    environment: EnvironmentName,
    number: ReleaseNumber,
  ): Promise<ReleaseWithState | undefined>;
  /** Newest first. */
  list(
    filter: { component?: ComponentName; environment?: EnvironmentName },
    page: PageRequest,
  ): Promise<Page<ReleaseWithState>>;
  markBad(
    service: ServiceKey,
    number: ReleaseNumber,
    why: string,
    fence: Fence,
    change: Change,
  ): Promise<void>;
}
