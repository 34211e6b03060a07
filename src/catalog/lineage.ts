/** What an image was baked from, and what was baked from it. */
import type { ImageId } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { ImageQuery } from '../domain/image-query.ts';
import type { Store } from '../domain/ports/store.ts';

type Catalogue = Pick<Store, 'images' | 'catalogue'>;

export interface Lineage {
  /** Its base first, then the base of that, and so on. */
  readonly ancestors: readonly Image[];
  /** A parent before its children; each with how many bakes it is away. */
  readonly descendants: readonly { readonly image: Image; readonly depth: number }[];
  /** True: there are more descendants than were asked for. */
  readonly cut: boolean;
}

export async function lineageOf(store: Catalogue, image: Image, limit: number): Promise<Lineage> {
  const descendants: { image: Image; depth: number }[] = [];
  const cut = await descend(store, { image, depth: 0 }, limit, descendants);
  return { ancestors: await ancestorsOf(store, image), descendants, cut };
}

/** Its base first. */
export async function ancestorsOf(store: Pick<Catalogue, 'images'>, image: Image): Promise<readonly Image[]> {
  const found: Image[] = [];
  for (let id = image.parent; id !== undefined; ) {
    const parent: Image | undefined = await store.images.get(id);
    if (parent === undefined) break;
    found.push(parent);
    id = parent.parent;
  }
  return found;
}

/** True when there was no room for all. */
async function descend(
  store: Catalogue,
  of: { readonly image: Image; readonly depth: number },
  limit: number,
  found: { image: Image; depth: number }[],
): Promise<boolean> {
  const room = limit - found.length;
  if (room <= 0) return (await childrenOf(store, of.image.id, 1)).length > 0;
  const children = await childrenOf(store, of.image.id, room + 1);
  for (const image of children.slice(0, room)) {
    if (found.length >= limit) return true;
    const child = { image, depth: of.depth + 1 };
    found.push(child);
    if (await descend(store, child, limit, found)) return true;
  }
  return children.length > room;
}

async function childrenOf(store: Catalogue, id: ImageId, limit: number): Promise<readonly Image[]> {
  const query: ImageQuery = {
    conditions: [{ on: 'field', field: 'parent', values: [id], negated: false }],
    versions: [],
    order: 'newest',
  };
  return (await store.catalogue.search(query, { limit })).items;
}
