/** The janitor, and what has it make its rounds. */
import type { Bakery } from '../bakery/bakery.ts';
import { Janitor } from '../catalog/janitor.ts';
import { EngineClient } from '../docker/engine-client.ts';
import type { Store } from '../domain/ports/store.ts';
import { artifactRemovals } from './artifact-removals.ts';
import type { Building } from './building.ts';
import { JanitorRound } from './janitor-round.ts';
import { Rounds } from './rounds.ts';
import { systemClock } from './system-clock.ts';

/** Blobs of a pull that is not recorded yet are younger. */
const BLOBS_SPARED_MS = 24 * 3600_000;
const ROUND_MS = 3600_000;

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
  const round = new JanitorRound({
    janitor,
    store: store.janitor,
    events: store.events,
    keepEventsMs: settings.keepEventsMs,
    clock: systemClock,
    log,
    ...(isShared ? { collectBlobs } : {}),
  });
  // Until the next round the view of what runs only grows older, and an old one is refused.
  const onFailure = 'a round of the janitor failed';
  const rounds = new Rounds({ everyMs: ROUND_MS, clock: systemClock, log, onFailure }, (signal) =>
    round.go(signal),
  );
  closers.push(() => rounds.close());
  rounds.start();
  return janitor;
}
