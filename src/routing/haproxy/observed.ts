/** What the routers hold for a service, from what HAProxy's worker and old workers say. Pure. */
import type { InstanceId } from '../../domain/ids.ts';
import type { EndpointObservation } from '../../domain/routing.ts';
import type { HeldServer } from './held.ts';
import { fullName, instanceOf, type WantedServer } from './wanted.ts';

/** `oldSessions`: what old workers have in flight, by `backend/server`; `backends`: those of the service. */
export function endpointsOf(
  wanted: readonly WantedServer[],
  held: readonly HeldServer[],
  oldSessions: ReadonlyMap<string, number>,
  backends: readonly string[],
): EndpointObservation[] {
  const byName = new Map(held.map((server) => [fullName(server), server]));
  const old = new Map(oldSessions);
  const inFlight = (name: string) => {
    const sessions = (byName.get(name)?.sessions ?? 0) + (old.get(name) ?? 0);
    old.delete(name);
    return sessions;
  };
  const endpoints = new Map<InstanceId, EndpointObservation>();
  /** What was seen first counts; anywhere else an instance only has requests in flight. */
  const add = (seen: EndpointObservation): void => {
    const first = endpoints.get(seen.instance);
    endpoints.set(
      seen.instance,
      first === undefined ? seen : { ...first, inFlight: first.inFlight + seen.inFlight },
    );
  };
  for (const server of wanted) {
    add({
      instance: server.instance,
      health: healthOf(byName.get(fullName(server)), server.draining),
      inFlight: inFlight(fullName(server)),
      draining: server.draining,
    });
  }
  const names = new Set(wanted.map(fullName));
  for (const server of held) {
    const name = fullName(server);
    const count = names.has(name) ? 0 : inFlight(name);
    if (count === 0) continue;
    add({
      instance: instanceOf(server.name),
      health: healthOf(server, true),
      inFlight: count,
      draining: true,
    });
  }
  // Known to an old worker only.
  for (const [name, count] of old) {
    const [backend = '', server = ''] = name.split('/');
    if (count === 0 || !backends.includes(backend)) continue;
    add({ instance: instanceOf(server), health: 'unknown', inFlight: count, draining: true });
  }
  return [...endpoints.values()];
}

function healthOf(server: HeldServer | undefined, isDraining: boolean): EndpointObservation['health'] {
  if (server === undefined || server.isParked) return 'unknown';
  // Drained without being asked to: it awaits its first passed check.
  if (server.isDrained && !isDraining) return 'unknown';
  return server.isRunning ? 'up' : 'down';
}
