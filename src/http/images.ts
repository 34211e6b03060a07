import type { Answer } from '../api/contract.ts';
import { outdatedAmong } from '../catalog/outdated.ts';
import { fittingFirst, ofComponent, parseImageQuery } from '../catalog/query-language.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { type RevokedUse, replaceable, runningOnRevoked } from '../catalog/revocation.ts';
import { standingOf } from '../catalog/standing.ts';
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
    const outdated = await outdatedAmong(store.catalogue, page.items);
    const items = page.items.map((image) => imageView(fittingFirst(image, wanted), moves, outdated));
    return { ...page, items };
  });

  operations.json('images.get', async ({ params }) => {
    const image = await resolveImage(store, params.reference);
    const moves = await store.channels.list(image.component);
    return imageView(image, moves, await outdatedAmong(store.catalogue, [image]));
  });

  operations.json('images.channels', async ({ params }, { actor }) => {
    const image = await resolveImage(store, params.reference);
    const { id, component, version } = image;
    const channels = await standingOf(store, image, { actor: actor.name, atMs: clock.now() });
    return { image: { id, component, version }, channels };
  });

  operations.json('images.tag', async ({ params, body }, { actor, attempt }) => {
    const { id } = await resolveImage(store, params.reference);
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    const image = await store.images.tag(id, body.tags, change);
    const moves = await store.channels.list(image.component);
    return imageView(image, moves, await outdatedAmong(store.catalogue, [image]));
  });

  operations.json('images.revoke', async ({ params, body }, { actor, attempt, assertMayChange }) => {
    const image = await resolveImage(store, params.reference);
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    const images = await store.images.revoke(image.id, body.why, change);
    const running = await runningOnRevoked(store);
    if (!body.replace) return { images, running: running.map(useView) };
    const started = new Map<string, { deployment?: DeploymentId; refused?: string }>();
    for (const use of replaceable(running)) {
      const { component, environment } = use;
      assertMayChange(environment);
      const begun = replace(use, actor.name)
        .then((id) => (id === undefined ? {} : { deployment: id }))
        // One service that cannot be replaced must not keep the others on what is revoked; the answer names it.
        .catch((thrown: unknown) => ({ refused: asKilnError(thrown).message }));
      started.set(serviceKey(component, environment), await begun);
    }
    return {
      images,
      running: running.map((use) => ({
        ...useView(use),
        ...started.get(serviceKey(use.component, use.environment)),
      })),
    };
  });

  const replace = async (use: RevokedUse, actor: string): Promise<DeploymentId | undefined> => {
    const { component, environment, replacement: to, newer } = use;
    const wish = { component, environment, onConflict: 'replace', actor } as const;
    if (to !== undefined) return (await deployer.rollback({ ...wish, to })).id;
    if (newer === undefined) return undefined;
    const outcome = await deployer.deploy({ ...wish, what: { image: newer } });
    return outcome.kind === 'started' ? outcome.deployment.id : undefined;
  };
}

function useView({ newer, ...use }: RevokedUse): Answer<'images.revoke'>['running'][number] {
  return { ...use, ...present({ newer: newer && { id: newer.id, version: newer.version } }) };
}
