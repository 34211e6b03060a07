import { KilnError } from '../domain/errors.ts';
import type { Fence, ServiceKey } from '../domain/ids.ts';
import type { Writer } from './engine.ts';

/**
 * Refuses the write of an owner who has been replaced, or has given its lease up. Leases change
 * hands only in write transactions, of which there is one at a time, so what is read here holds
 * until this transaction commits.
 */
export async function requireFence(db: Writer, service: ServiceKey, fence: Fence): Promise<void> {
  const lease = await db
    .selectFrom('leases')
    .select(['holder', 'fence'])
    .where('service', '=', service)
    .executeTakeFirst();
  if (lease?.holder != null && lease.fence === fence) return;
  const owner = lease?.holder == null ? 'nobody' : lease.holder;
  throw new KilnError(
    'fence.stale',
    `The write carries fence ${fence} of ${service}, which is now held by ${owner} with fence ${lease?.fence ?? 0}.`,
    {
      next: 'Stop acting for this service; its present owner goes on.',
      details: { service, fence, currentFence: lease?.fence ?? 0 },
    },
  );
}
