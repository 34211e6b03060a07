/** What is known of a service before it is made into the planner's world. */
import type { Deployment, ServiceState } from '../domain/deployment.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type { GroupObservation, ServerGroup } from '../domain/server-group.ts';

export interface Stored {
  readonly service: ServiceKey;
  readonly state: ServiceState;
  readonly wishes: readonly ServerGroup[];
  readonly running?: Deployment;
  readonly queued: boolean;
}

export type SeenGroups = ReadonlyMap<string, GroupObservation>;
