/** Scanning and pushing images as tasks of pipelines: asked again, an image is looked at again, and what was moved is there. */
import { resolveImage } from '../catalog/resolve-image.ts';
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Verbs } from '../pipeline/verbs.ts';
import type { Transfers } from '../registry/transfers.ts';
import type { Scans } from '../scan/scans.ts';
import { snapshotVerb } from './snapshot-verb.ts';

export interface ImageVerbsParts {
  readonly store: Store;
  readonly scans: Pick<Scans, 'start' | 'wait'>;
  readonly transfers: Pick<Transfers, 'push' | 'wait' | 'cancel'>;
  readonly clock: Clock;
}

/** Longer than anything waits; what ends a task is its own time-out. */
const ROUND_MS = 60_000;

export function imageVerbs({
  store,
  scans,
  transfers,
  clock,
}: ImageVerbsParts): Pick<Verbs, 'scan' | 'push' | 'snapshot'> {
  return {
    snapshot: snapshotVerb(store, clock),

    async scan(wish, { actor }, signal) {
      const image = await resolveImage(store, wish.image);
      const { id } = scans.start({ image, actor });
      await store.audit.append('scan.start', id, { image: image.id }, { actor, atMs: clock.now() });
      for (;;) {
        const run = await scans.wait(id, ROUND_MS, signal);
        if (run.state === 'running') continue;
        if (run.failure !== undefined) throw run.failure;
        const blocking = run.images.flatMap(({ verdict }) => verdict.blocking);
        if (run.state === 'passed') return { image: image.id, passed: true, advisories: run.advisories };
        const named = blocking.map(({ id: finding, severity }) => `${finding} (${severity})`).join(', ');
        throw new KilnError('check.failed', `${image.component} ${image.version} does not pass: ${named}.`, {
          next: `See what is known against it: kiln scan ${image.id}`,
        });
      }
    },

    async push(wish, { actor }, signal) {
      const image = await resolveImage(store, wish.image);
      const { id } = transfers.push(image, wish.to, actor);
      await store.audit.append('image.push', image.id, { to: wish.to }, { actor, atMs: clock.now() });
      try {
        for (;;) {
          const { outcome, failure } = await transfers.wait(id, ROUND_MS, signal);
          if (failure !== undefined) throw failure;
          if (outcome !== undefined)
            return { image: image.id, reference: outcome.reference, changed: outcome.kind !== 'unchanged' };
        }
      } catch (error) {
        if (signal.aborted) transfers.cancel(id);
        throw error;
      }
    },
  };
}
