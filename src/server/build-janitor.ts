/** The janitor, and what has it make its rounds. */
import type { Bakery } from '../bakery/bakery.ts';
import { Janitor } from '../catalog/janitor.ts';
import { EngineClient } from '../docker/engine-client.ts';
import type { Store } from '../domain/ports/store.ts';
import { artifactRemovals } from './artifact-removals.ts';
import type { Building } from './building.ts';
import { JanitorRounds } from './janitor-rounds.ts';
import { systemClock } from './system-clock.ts';

/** Blobs of a pull that is not recorded yet are younger. */
const BLOBS_SPARED_MS = 24 * 3600_000;

export function buildJanitor({ settings, log, closers }: Building, store: Store, bakery: Bakery): Janitor {
  const removalEngine = new EngineClient(settings.dockerSocket);
  closers.push(() => removalEngine.close());
  const isShared = store.engine === 'postgres';
  const collectBlobs = () =>
    bakery.collect(async () => new Set(await store.images.artifacts()), {
      unusedMs: BLOBS_SPARED_MS,
      isShared,
    });
  const janitor = new Janitor({
    store,
    clock: systemClock,
    collectBlobs,
    removals: artifactRemovals(settings, removalEngine, store),
    policy: settings.retention,
  });
  const rounds = new JanitorRounds({
    janitor,
    store: store.janitor,
    events: store.events,
    keepEventsMs: settings.keepEventsMs,
    clock: systemClock,
    log,
    ...(isShared ? { collectBlobs } : {}),
  });
  closers.push(() => rounds.close());
  rounds.start();
  return janitor;
}
