import { KilnError } from '../domain/errors.ts';
import type { ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { Target } from '../domain/ports/target.ts';
import type { ServerGroup } from '../domain/server-group.ts';

/**
 * The service's groups on the target. One that does not answer is a failure for the services that are wished there;
 * the others must not stand still for it.
 */
export async function groupsOn(
  target: Target,
  service: ServiceKey,
  wishes: readonly ServerGroup[],
  signal: AbortSignal,
): Promise<readonly ServerGroupName[]> {
  try {
    return await target.groups(service, signal);
  } catch (error) {
    const isWishedThere = wishes.some((wish) => wish.target === target.name);
    if (error instanceof KilnError && error.code === 'target.unavailable' && !isWishedThere) return [];
    throw error;
  }
}
