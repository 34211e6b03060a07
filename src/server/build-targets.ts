/** Where instances run, and what leads traffic to them. */
import path from 'node:path';
import type { FileBlobStore } from '../bakery/blobs.ts';
import { containerArchive } from '../bakery/container/container-archive.ts';
import { artifactKind } from '../bakery/oci-layout.ts';
import type { Router } from '../domain/ports/router.ts';
import type { Target } from '../domain/ports/target.ts';
import { openRouter } from '../routing/open-router.ts';
import { TARGETS } from '../targets/registry.ts';
import type { Unpack } from './build-bakery.ts';
import type { Building } from './building.ts';
import { routerListen } from './sockets.ts';
import { systemClock } from './system-clock.ts';

const ROUTER_START_LIMIT_MS = 30_000;

export async function buildTargets(
  { settings, around, state, log, closers }: Building,
  blobs: FileBlobStore,
  unpack: Unpack,
): Promise<ReadonlyMap<string, Target>> {
  const targets = new Map<string, Target>();
  for (const [name, create] of Object.entries(TARGETS)) {
    const target = await create({
      stateDirectory: state.path,
      hiddenPaths: settings.hiddenPaths,
      path: settings.path,
      unpack,
      kindOf: (artifact) => artifactKind(blobs, artifact),
      containerArchive: (artifact, name, signal) => containerArchive(blobs, artifact, name, signal),
      dockerSocket: settings.dockerSocket,
      clock: systemClock,
      log,
    });
    closers.push(() => target.close());
    targets.set(name, around.target?.(target) ?? target);
  }
  return targets;
}

export async function buildRouter({
  settings,
  entries,
  around,
  state,
  log,
  closers,
}: Building): Promise<Router> {
  const router = await openRouter({
    driver: settings.router.driver,
    clock: systemClock,
    nodePath: entries.node,
    entry: entries.router,
    stateDirectory: path.join(state.path, 'router'),
    listen: await routerListen(settings.router, state.file('router-port')),
    build: entries.build,
    log,
  });
  closers.push(() => router.close());
  await router.start(AbortSignal.timeout(ROUTER_START_LIMIT_MS));
  return around.router?.(router) ?? router;
}
