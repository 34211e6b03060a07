/** `kiln down`: everything that runs is stopped; what is wished stays, and starts again with the next server. */

import type { DeployParts } from '../deploy/parts.ts';
import { groupsOn } from '../deploy/target-groups.ts';
import { type ServiceKey, serviceKey } from '../domain/ids.ts';
import { servicesOf } from './reachable.ts';

const LEASE_MS = 60_000;
const LIMIT_MS = 120_000;

/** Returns the services that had anything running. The owners must have let go before. */
export async function stopEverything(parts: DeployParts, holder: string): Promise<readonly ServiceKey[]> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const stopped = new Set<ServiceKey>();
  for (const target of parts.targets.values()) {
    const services = new Set(await servicesOf(target, signal));
    for (const { component, environment } of await parts.store.services.list()) {
      services.add(serviceKey(component, environment));
    }
    await Promise.all(
      [...services].map(async (service) => {
        const wishes = await parts.store.services.groups(service);
        const groups = await groupsOn(target, service, wishes, signal);
        if (groups.length === 0) return;
        const lease = await parts.store.leases.acquire(service, holder, LEASE_MS, parts.clock.now());
        if (lease === undefined) return;
        await Promise.all(groups.map((group) => target.remove(group, lease.fence, signal)));
        await parts.store.leases.release(service, holder);
        stopped.add(service);
      }),
    );
  }
  await parts.router.stop(signal);
  return [...stopped].sort();
}
