import type { Answer } from '../api/contract.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

export function serveJanitor(operations: Operations, { store, janitor, clock }: HttpParts): void {
  const view = async (): Promise<Answer<'janitor.get'>> => ({
    ...(await store.janitor.state()),
    policy: janitor.policy,
  });

  operations.json('janitor.get', view);

  operations.json('janitor.enable', async ({ body }, { actor, attempt }) => {
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    await store.janitor.setEnabled(body.enabled, change);
    return view();
  });

  operations.json('janitor.run', async ({ body }, { actor, signal }) =>
    janitor.run({ actor: actor.name, dryRun: body.dryRun }, signal),
  );

  operations.json('janitor.announced', async ({ query: { limit, cursor } }) => {
    const page = await store.janitor.announced({ limit, ...present({ cursor }) });
    const items = page.items.map(({ markedAtMs, ...one }) => ({ ...one, announcedAtMs: markedAtMs }));
    return { ...page, items };
  });

  operations.json('janitor.explain', async ({ params }) =>
    janitor.explain((await resolveImage(store, params.reference)).id),
  );

  operations.json('janitor.restore', async ({ params }, { actor, attempt }) => {
    const image = await resolveImage(store, params.reference);
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    return { restored: await store.janitor.restore(image.id, change) };
  });
}
