import type { Change } from '../change.ts';
import type { ServiceState } from '../deployment.ts';
import type { Fence, ServerGroupName, ServiceKey } from '../ids.ts';
import type { ServerGroup } from '../server-group.ts';

export interface ServiceStore {
  get(service: ServiceKey): Promise<ServiceState | undefined>;
  list(): Promise<readonly ServiceState[]>;
  groups(service: ServiceKey): Promise<readonly ServerGroup[]>;
  putGroup(group: ServerGroup, fence: Fence, change: Change): Promise<void>;
  deleteGroup(service: ServiceKey, name: ServerGroupName, fence: Fence, change: Change): Promise<void>;
  setWeights(
    service: ServiceKey,
    weights: Readonly<Record<string, number>>,
    fence: Fence,
    change: Change,
  ): Promise<void>;
  /** Not fenced: a person's word, which the owner then carries out. */
  setStopped(service: ServiceKey, stopped: boolean, change: Change): Promise<void>;
}
