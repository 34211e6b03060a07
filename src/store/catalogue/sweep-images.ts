/**
 * Takes images away for good, some at a time in one transaction, which asks once more whether anything needs them: every
 * other writer comes before it and is seen, or after it and finds them gone.
 */
import type { ImageId } from '../../domain/ids.ts';
import { type Artifact, type Image, isStored } from '../../domain/image.ts';
import type { SweepOutcome } from '../../domain/ports/janitor.ts';
import type { KeepReason, RetentionPolicy } from '../../domain/retention.ts';
import type { ChangeTransaction } from '../change.ts';
import { fromJson, type Json, toJson } from '../json.ts';
import type { ImageIndexTable } from '../tables/catalogue.ts';
import type { ImageTable } from '../tables/images.ts';
import { readPostings } from './postings.ts';
import { references } from './references.ts';
import { fieldTerm } from './terms.ts';
import { unindexImages } from './unindex-images.ts';

export async function sweepImages(
  tx: ChangeTransaction,
  numbers: readonly number[],
  policy: RetentionPolicy,
): Promise<ReadonlyMap<number, SweepOutcome>> {
  const outcomes = new Map<number, SweepOutcome>(numbers.map((number) => [number, 'gone']));
  if (numbers.length === 0) return outcomes;
  const rows = await tx.db.selectFrom('image_index').selectAll().where('number', 'in', numbers).execute();
  if (rows.length === 0) return outcomes;
  const marks = await tx.db.selectFrom('janitor_marks').selectAll().where('number', 'in', numbers).execute();
  const due = new Set(marks.filter((mark) => mark.sweep_after_ms <= tx.atMs).map((mark) => mark.number));
  const found = await foundReferences(
    tx,
    rows.map((row) => row.image_id),
    policy,
  );
  const leaving = new Map<number, ImageIndexTable>();
  for (const row of rows) {
    const reason = due.has(row.number) ? neededFor(row, found, tx.atMs - policy.unusedMs) : 'announced';
    if (reason === undefined) leaving.set(row.number, row);
    else outcomes.set(row.number, reason);
  }
  for (const parent of await parentsThatStay(tx, leaving)) outcomes.set(parent, 'ancestor');
  for (const number of leaving.keys()) outcomes.set(number, 'swept');
  await remove(tx, [...leaving.values()]);
  return outcomes;
}

interface FoundReferences {
  readonly channels: ReadonlySet<ImageId>;
  readonly groups: ReadonlySet<ImageId>;
  readonly releases: ReadonlySet<ImageId>;
}

async function foundReferences(
  tx: ChangeTransaction,
  images: readonly ImageId[],
  policy: RetentionPolicy,
): Promise<FoundReferences> {
  const { channels, groups, releases } = await references(tx.db, policy.releasesKept, images);
  return { channels: new Set(channels), groups: new Set(groups), releases: new Set(releases) };
}

function neededFor(
  row: ImageIndexTable,
  found: FoundReferences,
  unusedSinceMs: number,
): KeepReason | undefined {
  if (found.channels.has(row.image_id)) return 'channel';
  if (found.groups.has(row.image_id)) return 'group';
  if (found.releases.has(row.image_id)) return 'release';
  if (row.pinned === 1) return 'pinned';
  if (Math.max(row.created_at_ms, row.used_at_ms ?? 0) > unusedSinceMs) return 'young';
  return undefined;
}

/** Takes those out of `leaving` from which something was baked that stays, and answers them. */
async function parentsThatStay(
  tx: ChangeTransaction,
  leaving: Map<number, ImageIndexTable>,
): Promise<readonly number[]> {
  const staying: number[] = [];
  while (leaving.size > 0) {
    const numbers = [...leaving.keys()];
    const children = await tx.db
      .selectFrom('image_index')
      .select('parent')
      .distinct()
      .where('parent', 'in', numbers)
      .where('number', 'not in', numbers)
      .execute();
    if (children.length === 0) break;
    for (const { parent } of children) {
      if (parent !== null && leaving.delete(parent)) staying.push(parent);
    }
  }
  return staying;
}

/**
 * The rows of `images` stay, without what they held: releases and channels of long ago name them. Their versions are
 * free again, and their artifacts are listed until whoever keeps them has deleted them.
 */
async function remove(tx: ChangeTransaction, rows: readonly ImageIndexTable[]): Promise<void> {
  if (rows.length === 0) return;
  const ids = rows.map((row) => row.image_id);
  const kept = await tx.db.selectFrom('images').selectAll().where('id', 'in', ids).execute();
  const images = new Map(kept.map((one) => [one.id, fromJson<Omit<Image, 'checks'>>(one.body)]));
  const gone = rows.flatMap((row) => {
    const image = images.get(row.image_id);
    return image === undefined ? [] : [{ row, image }];
  });
  await unindexImages(tx.db, gone);
  await tx.db
    .deleteFrom('janitor_marks')
    .where(
      'number',
      'in',
      rows.map((row) => row.number),
    )
    .execute();
  const swept = gone.map(({ image }) => image);
  await listArtifacts(tx, swept);
  await tx.db.deleteFrom('image_checks').where('image_id', 'in', ids).execute();
  await tx.db.deleteFrom('image_findings').where('image_id', 'in', ids).execute();
  for (const row of kept) await empty(tx, row);
  for (const image of swept) tx.event('image.swept', image.id, nameOf(image));
  tx.audit('image.sweep', 'janitor', { images: swept.map((image) => ({ id: image.id, ...nameOf(image) })) });
}

function nameOf(image: Omit<Image, 'checks'>) {
  const digests = image.artifacts.filter(isStored).map((artifact) => artifact.digest);
  return { component: image.component, version: image.version, digests };
}

async function listArtifacts(tx: ChangeTransaction, images: readonly Omit<Image, 'checks'>[]): Promise<void> {
  const digests = images.flatMap((image) => image.artifacts.filter(isStored).map(({ digest }) => digest));
  if (digests.length > 0) {
    // By both, since that is how the table is ordered.
    await tx.db
      .deleteFrom('image_artifacts')
      .where('digest', 'in', digests)
      .where(
        'image_id',
        'in',
        images.map((image) => image.id),
      )
      .execute();
  }
  const copies = await tx.db
    .deleteFrom('image_copies')
    .where(
      'image_id',
      'in',
      images.map((image) => image.id),
    )
    .returningAll()
    .execute();
  const pushed = Map.groupBy(copies, (copy) => copy.image_id);
  const listed: { image_id: ImageId; position: number; body: Json }[] = [];
  const last = await lastPositions(
    tx,
    images.map((image) => image.id),
  );
  for (const image of images) {
    const own = await notShared(tx, image.artifacts);
    const all = [...own, ...(pushed.get(image.id) ?? []).map((copy) => copyOf(image, copy.reference))];
    const first = (last.get(image.id) ?? -1) + 1;
    for (const [at, artifact] of all.entries())
      listed.push({ image_id: image.id, position: first + at, body: toJson(artifact) });
  }
  if (listed.length > 0) await tx.db.insertInto('swept_artifacts').values(listed).execute();
}

/** Of images that were swept before and came back, while what they had been kept as could not be deleted. */
async function lastPositions(
  tx: ChangeTransaction,
  images: readonly ImageId[],
): Promise<ReadonlyMap<ImageId, number>> {
  const rows = await tx.db
    .selectFrom('swept_artifacts')
    .select(({ fn }) => ['image_id', fn.max('position').as('position')])
    .where('image_id', 'in', images)
    .groupBy('image_id')
    .execute();
  return new Map(rows.map((row) => [row.image_id, row.position]));
}

/** Without those of providers that another image stands on, which is in the index still. */
async function notShared(
  tx: ChangeTransaction,
  artifacts: readonly Artifact[],
): Promise<readonly Artifact[]> {
  const terms = artifacts.flatMap((one) => (isStored(one) ? [] : fieldTerm('reference', one.reference)));
  const shared = await readPostings(tx.db, terms, 0, Number.MAX_SAFE_INTEGER);
  const stay = new Set(shared.map(({ term }) => term));
  return artifacts.filter((one) => isStored(one) || !stay.has(fieldTerm('reference', one.reference)));
}

function copyOf(image: Omit<Image, 'checks'>, reference: string): Artifact {
  const [{ kind, arch } = { kind: 'bundle' as const, arch: '' }] = image.artifacts;
  return { kind, provider: 'registry', arch, reference, sizeBytes: 0 };
}

async function empty(tx: ChangeTransaction, row: ImageTable): Promise<void> {
  const { id, component, version, tags } = fromJson<Image>(row.body);
  await tx.db
    .updateTable('images')
    .set({
      swept_at_ms: tx.atMs,
      version: `${row.version}#${row.id}`,
      body: toJson({ id, component, version, tags }),
    })
    .where('id', '=', row.id)
    .execute();
}
