/** What the routers ought to hold for a service, from its wishes, weights and instances. Pure. */
import type { ProcessSpec } from '../domain/component.ts';
import type { ReleaseNumber } from '../domain/ids.ts';
import type { Release } from '../domain/release.ts';
import type { Pool, RoutedGroup, ServiceTable } from '../domain/routing.ts';
import type { ServerGroup } from '../domain/server-group.ts';
import { serviceTable } from '../routing/table.ts';
import { exclusiveVolumes } from './planner/world.ts';
import type { SeenGroups, Stored } from './stored.ts';

export type TableContent = Omit<ServiceTable, 'generation'>;

export function tableContent(
  stored: Stored,
  seen: SeenGroups,
  releases: ReadonlyMap<ReleaseNumber, Release>,
): TableContent {
  const release = routingRelease(stored, releases);
  const groups = stored.wishes.filter((wish) => isRoutedGroup(wish, releases));
  const { generation: _, ...content } = serviceTable({
    service: stored.service,
    generation: { fence: 0, sequence: 0 },
    routes: stored.state.stopped && stored.running === undefined ? [] : (release?.routes ?? []),
    processes: routedProcesses(release, groups, releases),
    groups: groups.map((group) => ({ group, instances: seen.get(group.name)?.instances ?? [] })),
    weights: stored.state.weights,
    holdMs: 0,
  });
  return { ...content, pools: content.pools.map((pool) => withOwnHealth(pool, stored, groups, releases)) };
}

/** The release whose routes apply: the new one from the moment it has all the traffic. */
function routingRelease(stored: Stored, releases: ReadonlyMap<ReleaseNumber, Release>): Release | undefined {
  const { serving, weights } = stored.state;
  const to = stored.running?.to;
  const holders = stored.wishes.filter((wish) => (weights[wish.name] ?? 0) > 0).map((wish) => wish.release);
  const toHasAll = to !== undefined && holders.length > 0 && holders.every((release) => release === to);
  const number = toHasAll || serving === undefined ? to : serving;
  return number === undefined ? undefined : releases.get(number);
}

function isRoutedGroup(wish: ServerGroup, releases: ReadonlyMap<ReleaseNumber, Release>): boolean {
  return releases.get(wish.release)?.routes.some((route) => route.process === wish.process) ?? false;
}

/** The processes of the release in force first, then those that only other groups still have. */
function routedProcesses(
  release: Release | undefined,
  groups: readonly ServerGroup[],
  releases: ReadonlyMap<ReleaseNumber, Release>,
): readonly ProcessSpec[] {
  const found = new Map<string, ProcessSpec>();
  const candidates = [release, ...groups.map((group) => releases.get(group.release))];
  for (const one of candidates) {
    const routed = new Set(one?.routes.map((route) => route.process));
    for (const process of one?.settings.processes ?? []) {
      if (routed.has(process.name) && !found.has(process.name)) found.set(process.name, process);
    }
  }
  return [...found.values()];
}

/**
 * Each group is checked as its own release asks. Requests are held only while a volume that one instance
 * may hold changes hands: nobody can answer then, but somebody will.
 */
function withOwnHealth(
  pool: Pool,
  stored: Stored,
  wishes: readonly ServerGroup[],
  releases: ReadonlyMap<ReleaseNumber, Release>,
): Pool {
  const processOf = (release: ReleaseNumber | undefined): ProcessSpec | undefined =>
    release === undefined
      ? undefined
      : releases.get(release)?.settings.processes.find((one) => one.name === pool.process);
  const groups = pool.groups.map((group): RoutedGroup => {
    const wish = wishes.find((one) => one.name === group.group);
    const health = processOf(wish?.release)?.health;
    if (health === undefined || JSON.stringify(health) === JSON.stringify(pool.health)) return group;
    return { ...group, health };
  });
  const changesHands =
    stored.running !== undefined && exclusiveVolumes(processOf(stored.running.to)).length > 0;
  return { ...pool, groups, holdMs: changesHands ? pool.health.startupMs : pool.holdMs };
}
