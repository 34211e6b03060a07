import { fittingFirst, ofComponent, parseImageQuery } from '../catalog/query-language.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { replaceable, runningOnRevoked } from '../catalog/revocation.ts';
import { asKilnError } from '../domain/errors.ts';
import { type DeploymentId, serviceKey } from '../domain/ids.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { imageView, present } from './views.ts';

export function serveImages(operations: Operations, { store, clock, deployer }: HttpParts): void {
  operations.json('images.list', async ({ query }) => {
    const { component, limit, cursor } = query;
    const asked = parseImageQuery(query.query ?? '');
    const wanted = component === undefined ? asked : ofComponent(asked, component);
    const [page, moves] = await Promise.all([
      store.catalogue.search(wanted, present({ limit, cursor })),
      store.channels.list(component),
    ]);
    return { ...page, items: page.items.map((image) => imageView(fittingFirst(image, wanted), moves)) };
  });

  operations.json('images.get', async ({ params }) => {
    const image = await resolveImage(store, params.reference);
    return imageView(image, await store.channels.list(image.component));
  });

  operations.json('images.revoke', async ({ params, body }, { actor, attempt, assertMayChange }) => {
    const image = await resolveImage(store, params.reference);
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    const images = await store.images.revoke(image.id, body.why, change);
    const running = await runningOnRevoked(store);
    if (!body.replace) return { images, running };
    const started = new Map<string, { deployment?: DeploymentId; refused?: string }>();
    for (const { component, environment, replacement } of replaceable(running)) {
      if (replacement === undefined) continue;
      assertMayChange(environment);
      const begun = deployer
        .rollback({ component, environment, to: replacement, onConflict: 'replace', actor: actor.name })
        .then(({ id }) => ({ deployment: id }))
        // One service that cannot be replaced must not keep the others on what is revoked; the answer names it.
        .catch((thrown: unknown) => ({ refused: asKilnError(thrown).message }));
      started.set(serviceKey(component, environment), await begun);
    }
    return {
      images,
      running: running.map((use) => ({ ...use, ...started.get(serviceKey(use.component, use.environment)) })),
    };
  });
}
