/** Baking and checking to their ends, as images that follow their base need it. */
import type { Bakery } from '../bakery/bakery.ts';
import type { RebakesParts } from '../catalog/rebakes.ts';
import type { CheckRuns } from '../checks/check-runs.ts';

/** Longer than anything waits; a bake ends by itself, a check at its own limit. */
const ROUND_MS = 60_000;

export function rebakeWork(parts: {
  readonly bakery: Pick<Bakery, 'start' | 'wait' | 'cancel'>;
  readonly checks: Pick<CheckRuns, 'start' | 'wait'>;
}): Pick<RebakesParts, 'bake' | 'check'> {
  const { bakery, checks } = parts;
  return {
    async bake(image, actor, signal) {
      const { id } = await bakery.start({ directory: image.source?.directory ?? '', again: image, actor });
      try {
        for (;;) {
          const { outcome } = await bakery.wait(id, ROUND_MS, signal);
          if (outcome?.kind === 'failed') throw outcome.error;
          if (outcome !== undefined) return outcome.image;
        }
      } catch (error) {
        if (signal.aborted) bakery.cancel(id);
        throw error;
      }
    },
    async check(image, actor, signal) {
      const { id } = await checks.start({ what: { image }, actor });
      for (;;) {
        const run = await checks.wait(id, ROUND_MS, signal);
        signal.throwIfAborted();
        if (run.failure !== undefined) throw run.failure;
        if (run.state !== 'running') return;
      }
    },
  };
}
