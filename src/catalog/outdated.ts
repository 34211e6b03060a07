import type { ImageId } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { CatalogueStore } from '../domain/ports/catalogue.ts';

const PAGE = 200;

/** Those whose base has moved on, or is outdated itself. */
export async function outdatedAmong(
  catalogue: CatalogueStore,
  images: readonly Pick<Image, 'id' | 'parent'>[],
): Promise<ReadonlySet<ImageId>> {
  const ids = images.filter(({ parent }) => parent !== undefined).map(({ id }) => id);
  const found = new Set<ImageId>();
  for (let from = 0; from < ids.length; from += PAGE) {
    const { items } = await catalogue.search(
      {
        conditions: [
          { on: 'field', field: 'id', values: ids.slice(from, from + PAGE), negated: false },
          { on: 'field', field: 'outdated', values: ['true'], negated: false },
        ],
        versions: [],
        order: 'newest',
      },
      { limit: PAGE },
    );
    for (const { id } of items) found.add(id);
  }
  return found;
}
