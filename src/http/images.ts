import { fittingFirst, ofComponent, parseImageQuery } from '../catalog/query-language.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { imageView, present } from './views.ts';

export function serveImages(operations: Operations, { store }: HttpParts): void {
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
}
