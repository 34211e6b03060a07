/** Keeps the index in step with the images, in the transactions that change them. */
import type { ChannelName, ComponentName, ImageId } from '../../domain/ids.ts';
import type { Tags } from '../../domain/image-tags.ts';
import { versionKey } from '../../domain/version-order.ts';
import type { Writer } from '../engine.ts';
import { addToEdge, followBase } from './edges.ts';
import { setTerms } from './postings.ts';
import { baseOf, fieldTerm, type NewImage, termsOf } from './terms.ts';
import { insertPlace, placeOf } from './version-blocks.ts';

/** A tag `expires=never` pins an image: the janitor leaves it alone. */
function isPinned(tags: Tags): boolean {
  return tags.expires === 'never';
}

export async function indexImage(tx: Writer, image: NewImage): Promise<void> {
  const newest = await tx
    .selectFrom('image_index')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst();
  const number = (newest?.number ?? 0) + 1;
  const place = placeOf(versionKey(image.version), number);
  const parent = image.parent === undefined ? undefined : await numberOf(tx, image.parent);
  const base = baseOf(image);
  await tx
    .insertInto('image_index')
    .values({
      number,
      image_id: image.id,
      component: image.component,
      place,
      parent: parent ?? null,
      base: base ?? null,
      created_at_ms: image.createdAtMs,
      used_at_ms: null,
      pinned: Number(isPinned(image.tags)),
    })
    .execute();
  await setTerms(tx, number, termsOf(image), true);
  await insertPlace(tx, image.component, place, number);
  if (parent !== undefined && base !== undefined) await addToEdge(tx, number, { parent, base });
}

/** The tags of an image have changed: `image` is as it was, `tags` what it has now. */
export async function indexTags(tx: Writer, image: NewImage, tags: Tags): Promise<void> {
  const number = await numberOf(tx, image.id);
  if (number === undefined) return;
  const [before, after] = [termsOf(image), termsOf({ ...image, tags })];
  await setTerms(
    tx,
    number,
    [...before].filter((term) => !after.has(term)),
    false,
  );
  await setTerms(
    tx,
    number,
    [...after].filter((term) => !before.has(term)),
    true,
  );
  const pinned = Number(isPinned(tags));
  await tx.updateTable('image_index').set({ pinned }).where('number', '=', number).execute();
}

/** What is learned of an image later, such as that its checks passed. */
export async function setState(tx: Writer, id: ImageId, term: string, on: boolean): Promise<void> {
  const number = await numberOf(tx, id);
  if (number !== undefined) await setTerms(tx, number, [term], on);
}

export async function indexMove(
  tx: Writer,
  move: {
    readonly component: ComponentName;
    readonly channel: ChannelName;
    readonly image: ImageId;
    readonly previous?: ImageId | undefined;
  },
): Promise<void> {
  const term = fieldTerm('channel', move.channel);
  if (move.previous !== undefined) await setState(tx, move.previous, term, false);
  await setState(tx, move.image, term, true);
  await followBase(tx, `${move.component}@${move.channel}`);
}

export async function numberOf(tx: Writer, id: ImageId): Promise<number | undefined> {
  const row = await tx
    .selectFrom('image_index')
    .select('number')
    .where('image_id', '=', id)
    .executeTakeFirst();
  return row?.number;
}
