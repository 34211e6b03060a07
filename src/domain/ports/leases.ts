import type { Lease } from '../deployment.ts';
import type { ServiceKey } from '../ids.ts';

export interface LeaseStore {
  /** Takes or renews the lease; undefined while somebody else holds it. A change of hands raises the fence. */
  acquire(service: ServiceKey, holder: string, ttlMs: number, nowMs: number): Promise<Lease | undefined>;
  release(service: ServiceKey, holder: string): Promise<void>;
  /**
   * All of holders whose names begin so. Only for whoever knows that each of them has ended, by having taken what
   * each of them needed to live.
   */
  releaseAll(holders: string): Promise<void>;
  holder(service: ServiceKey): Promise<Lease | undefined>;
}
