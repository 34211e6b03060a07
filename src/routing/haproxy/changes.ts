/**
 * The runtime commands that bring a backend's servers from what is held to what is wanted. Pure.
 *
 *   (absent) → drained, checked → ready        admitted only after a passed check: a dynamic server that is
 *                                              enabled at once takes traffic before its first one
 *   ready ⇄ drained                            draining; or called back
 *   drained → parked → (absent)                nothing in flight any more; HAProxy deletes a server only once
 *                                              its idle connections are gone, and one from the configuration never
 */
import { serverOptions } from './configuration.ts';
import type { HeldServer } from './held.ts';
import { fullName, serverWeights, type WantedServer } from './wanted.ts';

export interface Changes {
  /** For servers that are wanted. */
  readonly arrivals: readonly string[];
  /** For servers that are to go, once no request is led to them. */
  readonly departures: readonly string[];
  /** Servers that await their first passed check. */
  readonly awaited: number;
  /** Servers that are to go and are still there. */
  readonly leaving: readonly HeldServer[];
}

export function changesFor(held: readonly HeldServer[], wanted: readonly WantedServer[]): Changes {
  const byName = new Map(held.map((server) => [`${server.backend}/${server.name}`, server]));
  const names = new Set(wanted.map(fullName));
  const weights = weightsOf(wanted, byName);
  const leaving = held.filter((server) => !names.has(fullName(server)));
  const steps = wanted.map((server) =>
    stepsFor(server, byName.get(fullName(server)), weights.get(fullName(server)) ?? 0),
  );
  return {
    // One command after the other comes into force, so what gives comes before what takes: at no moment is there
    // less than there was before or will be after.
    arrivals: [...steps.flatMap((step) => step.giving), ...steps.flatMap((step) => step.taking)],
    departures: leaving.flatMap(leave),
    awaited: steps.filter((step) => step.isAwaited).length,
    leaving: leaving.filter((server) => !server.isParked),
  };
}

/** By full name. */
function weightsOf(
  wanted: readonly WantedServer[],
  held: ReadonlyMap<string, HeldServer>,
): ReadonlyMap<string, number> {
  const byBackend = Map.groupBy(wanted, (server) => server.backend);
  return new Map(
    [...byBackend.values()].flatMap((servers) => [
      ...serverWeights(
        servers.map((server) => ({
          name: fullName(server),
          group: server.group,
          groupWeight: server.groupWeight,
          serves: !server.draining && isUp(held.get(fullName(server))),
        })),
      ),
    ]),
  );
}

interface Steps {
  readonly giving: readonly string[];
  readonly taking: readonly string[];
  readonly isAwaited: boolean;
}

function stepsFor(server: WantedServer, held: HeldServer | undefined, weight: number): Steps {
  const name = fullName(server);
  if (held === undefined || held.isParked) {
    // There is nothing to drain where nothing was sent.
    if (server.draining) return { giving: [], taking: [], isAwaited: false };
    const begin =
      held === undefined
        ? [`add server ${name} ${server.address} ${serverOptions({ weight, intervalMs: server.intervalMs })}`]
        : // What it was found to be before it was taken out counts for nothing.
          [`set server ${name} health down`, `set server ${name} weight ${weight}`];
    const giving = [...begin, `set server ${name} state drain`, `enable health ${name}`];
    return { giving, taking: [], isAwaited: true };
  }
  if (server.draining) {
    return { giving: [], taking: held.isDrained ? [] : [`set server ${name} state drain`], isAwaited: false };
  }
  const reweigh = `set server ${name} weight ${weight}`;
  const taking = weight < held.weight ? [reweigh] : [];
  const more = weight > held.weight ? [reweigh] : [];
  if (!held.isDrained) return { giving: more, taking, isAwaited: false };
  if (!isUp(held)) return { giving: more, taking, isAwaited: true };
  // Not with an old weight for even a moment: it takes nothing yet, so its own order is free.
  return { giving: [...more, ...taking, `set server ${name} state ready`], taking: [], isAwaited: false };
}

/** Nothing new at once; gone when nothing is in flight. */
function leave(server: HeldServer): string[] {
  const name = fullName(server);
  if (server.isParked) return [`del server ${name}`];
  if (!server.isDrained) return [`set server ${name} state drain`];
  if (server.sessions > 0) return [];
  return [`set server ${name} state maint`, `del server ${name}`];
}

/** Once admitted it has passed, and is running until HAProxy says otherwise. */
function isUp(server: HeldServer | undefined): boolean {
  if (server === undefined || !server.isRunning || server.isParked) return false;
  return !server.isDrained || server.hasPassed;
}

/** Commands that bring a map from what is held to what is wanted; entries that stay are not touched. */
export function mapChanges(
  file: string,
  held: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): readonly string[] {
  const commands: string[] = [];
  for (const [key, value] of wanted) {
    if (!held.has(key)) commands.push(`add map ${file} ${key} ${value}`);
    else if (held.get(key) !== value) commands.push(`set map ${file} ${key} ${value}`);
  }
  for (const key of held.keys()) {
    if (!wanted.has(key)) commands.push(`del map ${file} ${key}`);
  }
  return commands;
}
