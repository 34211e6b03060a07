/** Reads all that a decision on retention looks at: a few numbers for each image, and who refers to which. */
import type { ImageId } from '../../domain/ids.ts';
import type { RetentionView } from '../../domain/retention.ts';
import type { Reader } from '../engine.ts';
import { references } from './references.ts';

const ROWS_AT_A_TIME = 4_000;
const IDS_AT_A_TIME = 500;

export async function readRetentionView(db: Reader, releasesKept: number): Promise<RetentionView> {
  const newest = await db
    .selectFrom('image_index')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst();
  const size = (newest?.number ?? 0) + 1;
  const view = {
    there: new Uint8Array(size),
    parent: new Int32Array(size),
    neededAtMs: new Float64Array(size),
    pinned: new Uint8Array(size),
    sweepAfterMs: new Float64Array(size),
  };
  for (let after = 0; ; ) {
    const rows = await db
      .selectFrom('image_index')
      .select(['number', 'parent', 'created_at_ms', 'used_at_ms', 'pinned'])
      .where('number', '>', after)
      .orderBy('number')
      .limit(ROWS_AT_A_TIME)
      .execute();
    for (const row of rows) {
      view.there[row.number] = 1;
      view.parent[row.number] = row.parent ?? 0;
      view.neededAtMs[row.number] = Math.max(row.created_at_ms, row.used_at_ms ?? 0);
      view.pinned[row.number] = row.pinned;
    }
    after = rows.at(-1)?.number ?? after;
    if (rows.length < ROWS_AT_A_TIME) break;
  }
  await readMarks(db, view.sweepAfterMs);
  const [found, state] = [
    await references(db, releasesKept),
    await db.selectFrom('janitor').selectAll().executeTakeFirstOrThrow(),
  ];
  return {
    ...view,
    heldByChannels: await numbersOf(db, found.channels),
    runByGroups: await numbersOf(db, found.groups),
    inReachOfRollback: await numbersOf(db, found.releases),
    usesSeenAtMs: state.uses_seen_at_ms,
    lastReferences: state.last_references,
  };
}

async function readMarks(db: Reader, sweepAfterMs: Float64Array): Promise<void> {
  for (let after = 0; ; ) {
    const rows = await db
      .selectFrom('janitor_marks')
      .select(['number', 'sweep_after_ms'])
      .where('number', '>', after)
      .orderBy('number')
      .limit(ROWS_AT_A_TIME)
      .execute();
    for (const row of rows) sweepAfterMs[row.number] = row.sweep_after_ms;
    after = rows.at(-1)?.number ?? after;
    if (rows.length < ROWS_AT_A_TIME) return;
  }
}

async function numbersOf(db: Reader, ids: readonly ImageId[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (let from = 0; from < ids.length; from += IDS_AT_A_TIME) {
    const rows = await db
      .selectFrom('image_index')
      .select('number')
      .where('image_id', 'in', ids.slice(from, from + IDS_AT_A_TIME))
      .execute();
    for (const row of rows) found.push(row.number);
  }
  return found;
}
