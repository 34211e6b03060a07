import { KilnError } from '../domain/errors.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type { Target } from '../domain/ports/target.ts';

/**
 * What has anything on the target; nothing where the target does not answer. For what is cleared away: an engine that is
 * down must not keep a server from starting or stopping, and what runs there is cleared away the next time.
 */
export async function servicesOf(target: Target, signal: AbortSignal): Promise<readonly ServiceKey[]> {
  try {
    return await target.services(signal);
  } catch (error) {
    if (error instanceof KilnError && error.code === 'target.unavailable') return [];
    throw error;
  }
}
