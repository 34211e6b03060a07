import type { Answer } from '../api/contract.ts';
import { insideChanges, sizeOf, tagDifferences } from '../catalog/compare-images.ts';
import { lineageOf } from '../catalog/lineage.ts';
import { outdatedAmong } from '../catalog/outdated.ts';
import { parseImageQuery } from '../catalog/query-language.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { baseReference } from '../domain/component.ts';
import type { ImageId } from '../domain/ids.ts';
import type { ChannelMove, Image } from '../domain/image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

type Relative = Answer<'images.lineage'>['image'];

const MOST_DESCENDANTS = 200;
const MOST_FILES = 1000;

export function serveCatalogue(operations: Operations, { store, imageFiles, sboms }: HttpParts): void {
  operations.json('images.lineage', async ({ params }) => {
    const image = await resolveImage(store, params.reference);
    const { ancestors, descendants, cut } = await lineageOf(store, image, MOST_DESCENDANTS);
    const moves = await store.channels.list();
    const family = [image, ...ancestors, ...descendants.map((one) => one.image)];
    const outdated = await outdatedAmong(store.catalogue, family);
    const shown = (one: Image): Relative => relative(one, moves, outdated);
    return {
      image: shown(image),
      ancestors: ancestors.map(shown),
      descendants: descendants.map((one) => ({ image: shown(one.image), depth: one.depth })),
      cut,
    };
  });

  operations.json('images.diff', async ({ params, query }, { signal }) => {
    const [from, to] = [await resolveImage(store, params.reference), await resolveImage(store, query.with)];
    const moves = await store.channels.list();
    const outdated = await outdatedAmong(store.catalogue, [from, to]);
    const inside = await insideChanges({ imageFiles, sboms }, from, to, signal);
    return {
      from: relative(from, moves, outdated),
      to: relative(to, moves, outdated),
      sizeBytes: { from: sizeOf(from), to: sizeOf(to) },
      tags: tagDifferences(from, to),
      ...(inside && {
        files: { count: inside.files.length, items: inside.files.slice(0, MOST_FILES) },
        packages: inside.packages,
      }),
    };
  });

  operations.json('images.verify', async ({ body }, { signal }) => {
    const { limit, cursor } = body;
    const page = await store.catalogue.search(parseImageQuery(body.query ?? ''), present({ limit, cursor }));
    const { blobs, faults } = await imageFiles.verify(page.items, signal);
    return {
      images: page.items.length,
      blobs,
      faults: faults.map(({ image, digest, code, message }) => ({
        image: image.id,
        component: image.component,
        version: image.version,
        digest,
        code,
        message,
      })),
      ...present({ cursor: page.cursor }),
    };
  });
}

function relative(image: Image, moves: readonly ChannelMove[], outdated: ReadonlySet<ImageId>): Relative {
  const { id, component, version, parent, createdAtMs } = image;
  const base = parent === undefined ? undefined : baseReference(image.definition.image);
  return {
    id,
    component,
    version,
    ...present({ parent, base }),
    channels: moves.filter((move) => move.image === id).map((move) => move.channel),
    revoked: image.revoked !== undefined,
    outdated: outdated.has(id),
    follows: image.definition.image.rebake !== undefined,
    createdAtMs,
  };
}
