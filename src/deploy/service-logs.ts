import { KilnError } from '../domain/errors.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type { LogLine, LogQuery } from '../domain/ports/target.ts';
import type { DeployParts } from './parts.ts';
import { groupsOn } from './target-groups.ts';

/** What the instances of a service write, those that have ended lately included. */
export async function* serviceLogs(
  parts: DeployParts,
  service: ServiceKey,
  query: LogQuery,
  signal: AbortSignal,
): AsyncIterable<LogLine> {
  let found = false;
  const wishes = await parts.store.services.groups(service);
  for (const target of parts.targets.values()) {
    const groups = await groupsOn(target, service, wishes, signal);
    if (groups.length === 0) continue;
    found = true;
    yield* target.logs(groups, query, signal);
  }
  if (found) return;
  throw new KilnError('not-found', `Nothing of ${service} has run here.`, { next: 'Run: kiln status' });
}
