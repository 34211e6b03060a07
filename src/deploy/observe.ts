/** Makes the planner's world from what is stored, what the targets see and what the routers hold. */
import { type InstanceId, type ReleaseNumber, type ServiceKey, serviceParts } from '../domain/ids.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { EndpointObservation, RouterObservation } from '../domain/routing.ts';
import type { GroupObservation, InstanceView, ServerGroup } from '../domain/server-group.ts';
import type { DeployParts } from './parts.ts';
import { type GroupWorld, type InstanceWorld, isReady, type World } from './planner/world.ts';
import type { SeenGroups, Stored } from './stored.ts';
import { type TableContent, tableContent } from './table-content.ts';
import { groupsOn } from './target-groups.ts';

/** What the owner remembers between two looks; lost in a crash, and then found out again. */
export interface Memory {
  readonly prepared: Set<ReleaseNumber>;
  /** Instances that were seen to be ready. */
  ready: ReadonlySet<InstanceId>;
  /** The content that the routers acknowledged last from this owner, as text. */
  applied?: string;
}

export function emptyMemory(): Memory {
  return { prepared: new Set(), ready: new Set() };
}

export interface Observation {
  readonly world: World;
  /** What the routers ought to hold. */
  readonly wanted: TableContent;
}

export async function observe(
  parts: DeployParts,
  service: ServiceKey,
  memory: Memory,
  signal: AbortSignal,
): Promise<Observation> {
  const stored = await readStored(parts, service);
  const [seen, routed] = await Promise.all([
    seeGroups(parts, service, stored.wishes, signal),
    parts.router.observe(service, signal),
  ]);
  const releases = await readReleases(parts, service, stored);
  const wanted = tableContent(stored, seen, releases);
  const knowsUs =
    routed.generation !== undefined || (wanted.routes.length === 0 && wanted.pools.length === 0);
  const world: World = {
    nowMs: parts.clock.now(),
    service: stored.state,
    releases,
    groups: groupWorlds(stored.wishes, seen, routed, memory.ready),
    ...(stored.running === undefined ? {} : { deployment: stored.running }),
    queued: stored.queued,
    prepared: memory.prepared,
    routing: { inForce: knowsUs && memory.applied === JSON.stringify(wanted), weights: routed.weights },
  };
  memory.ready = readyOnce(world);
  return { world, wanted };
}

/** Those that are ready now or were before, as long as they are there. */
function readyOnce(world: World): ReadonlySet<InstanceId> {
  return new Set(
    world.groups.flatMap((group) =>
      group.instances.filter((one) => one.hasBeenReady || isReady(world, group, one)).map((one) => one.id),
    ),
  );
}

async function readStored(parts: DeployParts, service: ServiceKey): Promise<Stored> {
  const { store } = parts;
  const [state, wishes, open] = await Promise.all([
    store.services.get(service),
    store.services.groups(service),
    store.deployments.open(service),
  ]);
  const running = open.find((deployment) => deployment.state === 'running');
  return {
    service,
    state: state ?? { ...serviceParts(service), stopped: false, weights: {} },
    wishes,
    ...(running === undefined ? {} : { running }),
    queued: open.some((deployment) => deployment.state === 'queued'),
  };
}

async function seeGroups(
  parts: DeployParts,
  service: ServiceKey,
  wishes: readonly ServerGroup[],
  signal: AbortSignal,
): Promise<SeenGroups> {
  const seen = new Map<string, GroupObservation>();
  for (const target of parts.targets.values()) {
    const there = await groupsOn(target, service, wishes, signal);
    const names = new Set([
      ...there,
      ...wishes.filter((one) => one.target === target.name).map((one) => one.name),
    ]);
    const observations = await Promise.all([...names].map((name) => target.observe(name, signal)));
    for (const one of observations) if (one !== undefined) seen.set(one.group, one);
  }
  return seen;
}

/** Of the serving release, of the deployment's, of every group, and those that served lately. */
async function readReleases(
  parts: DeployParts,
  service: ServiceKey,
  stored: Stored,
): Promise<Map<ReleaseNumber, ReleaseWithState>> {
  const { component, environment } = serviceParts(service);
  const numbers = new Set<ReleaseNumber>(stored.wishes.map((wish) => wish.release));
  if (stored.state.serving !== undefined) numbers.add(stored.state.serving);
  if (stored.running !== undefined) numbers.add(stored.running.to);
  const found = await Promise.all(
    [...numbers].map((number) => parts.store.releases.get(component, environment, number)),
  );
  return new Map(found.filter((one) => one !== undefined).map((one) => [one.number, one]));
}

function groupWorlds(
  wishes: readonly ServerGroup[],
  seen: SeenGroups,
  routed: RouterObservation,
  ready: ReadonlySet<InstanceId>,
): readonly GroupWorld[] {
  const endpoints = new Map<string, EndpointObservation>(routed.endpoints.map((one) => [one.instance, one]));
  const wishOf = new Map<string, ServerGroup>(wishes.map((wish) => [wish.name, wish]));
  const names = [
    ...new Set([...wishes.map((wish) => wish.name), ...[...seen.values()].map((one) => one.group)]),
  ];
  return names.map((name) => {
    const wish = wishOf.get(name);
    const observation = seen.get(name);
    return {
      name,
      ...(wish === undefined ? {} : { wish }),
      present: observation !== undefined,
      instances: (observation?.instances ?? []).map((one) =>
        instanceWorld(one, endpoints.get(one.id), ready.has(one.id)),
      ),
      health: observation?.health ?? { kind: 'steady' },
    };
  });
}

function instanceWorld(
  view: InstanceView,
  endpoint: EndpointObservation | undefined,
  hasBeenReady: boolean,
): InstanceWorld {
  return {
    id: view.id,
    ordinal: view.ordinal,
    phase: view.phase,
    startedAtMs: view.startedAtMs,
    router: endpoint?.health ?? 'absent',
    routerDraining: endpoint?.draining ?? false,
    inFlight: endpoint?.inFlight ?? 0,
    hasBeenReady,
  };
}
