/**
 * What was baked from what, and whether it is outdated: an image is when the channel that it was baked from holds
 * another image now, or when its own base is outdated. Kept per edge (a base image and the channel it was taken
 * from), of which there are few, however many images were baked from it.
 */
import type { Writer } from '../engine.ts';
import { mergeTerm, setTerms } from './postings.ts';
import { edgeTerm, OUTDATED } from './terms.ts';

interface Edge {
  readonly parent: number;
  /** `component@channel` */
  readonly base: string;
}

/** A new image and its edge, which is made where it is the first. */
export async function addToEdge(tx: Writer, number: number, edge: Edge): Promise<void> {
  const { parent, base } = edge;
  await setTerms(tx, number, [edgeTerm(parent, base)], true);
  const there = await tx
    .selectFrom('image_edges')
    .select('outdated')
    .where('parent', '=', parent)
    .where('base', '=', base)
    .executeTakeFirst();
  const outdated = there === undefined ? await isOutdated(tx, edge) : there.outdated === 1;
  if (there === undefined) {
    await tx
      .insertInto('image_edges')
      .values({ parent, base, outdated: Number(outdated) })
      .execute();
  }
  if (outdated) await setTerms(tx, number, [OUTDATED], true);
}

/** After a move of the channel: its descendants become outdated, or are no longer. */
export async function followBase(tx: Writer, base: string): Promise<void> {
  const edges = await tx.selectFrom('image_edges').selectAll().where('base', '=', base).execute();
  for (const edge of edges) await reconsider(tx, edge);
}

async function reconsider(tx: Writer, edge: Edge & { readonly outdated: number }): Promise<void> {
  const outdated = await isOutdated(tx, edge);
  if (outdated === (edge.outdated === 1)) return;
  const { parent, base } = edge;
  await tx
    .updateTable('image_edges')
    .set({ outdated: Number(outdated) })
    .where('parent', '=', parent)
    .where('base', '=', base)
    .execute();
  await mergeTerm(tx, edgeTerm(parent, base), OUTDATED, outdated ? 'or' : 'and-not');
  for (const next of await edgesBelow(tx, edge)) await reconsider(tx, next);
}

/** Of those that were baked from this edge, the ones that are a base themselves. */
async function edgesBelow(
  tx: Writer,
  { parent, base }: Edge,
): Promise<readonly (Edge & { outdated: number })[]> {
  return tx
    .selectFrom('image_edges')
    .innerJoin('image_index', 'image_index.number', 'image_edges.parent')
    .selectAll('image_edges')
    .where('image_index.parent', '=', parent)
    .where('image_index.base', '=', base)
    .execute();
}

async function isOutdated(tx: Writer, { parent, base }: Edge): Promise<boolean> {
  const held = await heldBy(tx, base);
  if (held !== undefined && held !== parent) return true;
  const own = await tx
    .selectFrom('image_index')
    .innerJoin('image_edges', (join) =>
      join
        .onRef('image_edges.parent', '=', 'image_index.parent')
        .onRef('image_edges.base', '=', 'image_index.base'),
    )
    .select('image_edges.outdated')
    .where('image_index.number', '=', parent)
    .executeTakeFirst();
  return own?.outdated === 1;
}

/** The number of the image that `component@channel` holds. */
async function heldBy(tx: Writer, base: string): Promise<number | undefined> {
  const at = base.indexOf('@');
  const row = await tx
    .selectFrom('channel_moves')
    .innerJoin('image_index', 'image_index.image_id', 'channel_moves.image_id')
    .select('image_index.number')
    .where('channel_moves.component', '=', base.slice(0, at) as never)
    .where('channel_moves.channel', '=', base.slice(at + 1) as never)
    .orderBy('channel_moves.ordinal', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.number;
}
