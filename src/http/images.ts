import { resolveImage } from '../catalog/resolve-image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { imageView, present } from './views.ts';

export function serveImages(operations: Operations, { store }: HttpParts): void {
  operations.json('images.list', async ({ query }) => {
    const { component } = query;
    const [page, moves] = await Promise.all([
      store.images.list(present({ component }), present({ limit: query.limit, cursor: query.cursor })),
      store.channels.list(component),
    ]);
    return { ...page, items: page.items.map((image) => imageView(image, moves)) };
  });

  operations.json('images.get', async ({ params }) => {
    const image = await resolveImage(store, params.reference);
    return imageView(image, await store.channels.list(image.component));
  });
}
