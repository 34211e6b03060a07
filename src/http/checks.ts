import { resolveImage } from '../catalog/resolve-image.ts';
import { KilnError } from '../domain/errors.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { checkRunView } from './views.ts';

export function serveChecks(operations: Operations, parts: HttpParts): void {
  const { checks, store, clock } = parts;

  operations.begins('checks.start', {
    async begin({ body }, { actor }) {
      const what = 'image' in body ? { image: await resolveImage(store, body.image) } : body;
      const run = await checks.start({ what, actor: actor.name });
      const change = { actor: actor.name, atMs: clock.now() };
      await store.audit.append('check.start', run.id, { ...body }, change);
      return checkRunView(run);
    },
    ended: ({ state }) => state !== 'running',
    wait: async ({ id }, timeoutMs, signal) => checkRunView(await checks.wait(id, timeoutMs, signal)),
  });

  operations.json('checks.get', async ({ params, query }, { signal }) => {
    const run = await checks.get(params.id);
    if (run === undefined) {
      throw new KilnError('not-found', `There is no run of checks ${params.id}.`, {
        next: 'Runs are known until the server restarts; their results stay with the image: `kiln images`.',
      });
    }
    return checkRunView(query.wait === 0 ? run : await checks.wait(params.id, query.wait * 1000, signal));
  });
}
