/** What runs where, and who is about to change it. */
import type { Strategy } from '../../domain/component.ts';
import type { DeploymentReason, DeploymentState } from '../../domain/deployment.ts';
import type {
  ComponentName,
  DeploymentId,
  EnvironmentName,
  Fence,
  ImageId,
  ReleaseNumber,
  Revision,
  ServerGroupName,
  ServiceKey,
} from '../../domain/ids.ts';
import type { Json } from '../json.ts';

export interface ReleaseTable {
  component: ComponentName;
  environment: EnvironmentName;
  number: ReleaseNumber;
  ordinal: Revision;
  image_id: ImageId;
  body: Json;
  served_at_ms: number | null;
  bad: Json | null;
}

interface ReleaseRouteTable {
  host: string;
  path: string;
  component: ComponentName;
  environment: EnvironmentName;
  number: ReleaseNumber;
}

export interface DeploymentTable {
  id: DeploymentId;
  ordinal: Revision;
  component: ComponentName;
  environment: EnvironmentName;
  reason: DeploymentReason;
  from_release: ReleaseNumber | null;
  to_release: ReleaseNumber;
  strategy: Strategy;
  state: DeploymentState;
  decisions: Json;
  created_at_ms: number;
  created_by: string;
  ended_at_ms: number | null;
  failure: Json | null;
}

export interface ServiceTable {
  component: ComponentName;
  environment: EnvironmentName;
  /** Newest number given to a release; numbers are never given twice. */
  last_release: ReleaseNumber;
  serving: ReleaseNumber | null;
  stopped: number;
  weights: Json;
}

interface ServerGroupTable {
  name: ServerGroupName;
  component: ComponentName;
  environment: EnvironmentName;
  body: Json;
}

export interface LeaseTable {
  service: ServiceKey;
  /** Null once released: the fence stays, so that the next holder gets a higher one. */
  holder: string | null;
  fence: Fence;
  expires_at_ms: number;
}

export interface EnvironmentPauseTable {
  environment: EnvironmentName;
  paused_by: string;
  why: string;
  at_ms: number;
}

export interface DeploymentTables {
  releases: ReleaseTable;
  release_routes: ReleaseRouteTable;
  deployments: DeploymentTable;
  services: ServiceTable;
  server_groups: ServerGroupTable;
  leases: LeaseTable;
  environment_pauses: EnvironmentPauseTable;
}
