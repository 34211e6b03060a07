import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type { ComponentName, Digest, ImageId } from '../domain/ids.ts';
import {
  type Artifact,
  type CheckResult,
  type Image,
  imageState,
  isStored,
  type Revocation,
} from '../domain/image.ts';
import { checkTags, type TagChanges, withTags } from '../domain/image-tags.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import type { ImageStore } from '../domain/ports/images.ts';
import { indexImage, indexTags, setState } from './catalogue/index-image.ts';
import { refuseRevoked, revocationsOf, revokeWithDescendants } from './catalogue/revocations.ts';
import { FAILED, TESTED } from './catalogue/terms.ts';
import type { ChangeTransaction } from './change.ts';
import type { Database } from './database.ts';
import type { Reader, Writer } from './engine.ts';
import { fromJson, toJson } from './json.ts';
import { pageBounds, pageOf } from './page.ts';
import type { ImageTable } from './tables/images.ts';

type NewImage = Omit<Image, 'checks' | 'revoked'>;

export class Images implements ImageStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(image: NewImage, change: Change): Promise<Image> {
    return this.#database.change(change, async (tx) => {
      await refuseTaken(tx, image);
      if (image.parent !== undefined) await refuseRevoked(tx.db, image.parent);
      await refuseLeaving(tx.db, image.artifacts);
      await insertImage(tx, image);
      await indexImage(tx.db, image);
      const { component, version } = image;
      tx.event('image.created', image.id, { component, version });
      tx.audit('image.create', image.id, { component, version, inputKey: image.inputKey });
      return { ...image, checks: [] };
    });
  }

  get(id: ImageId): Promise<Image | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('images')
        .selectAll()
        .where('id', '=', id)
        .where('swept_at_ms', 'is', null)
        .executeTakeFirst();
      return row && (await withChecks(db, [row]))[0];
    });
  }

  byVersion(component: ComponentName, version: string): Promise<Image | undefined> {
    return this.#newest(component, 'version', version);
  }

  byInputKey(component: ComponentName, inputKey: Digest): Promise<Image | undefined> {
    return this.#newest(component, 'input_key', inputKey);
  }

  async list(filter: { component?: ComponentName }, page: PageRequest): Promise<Page<Image>> {
    const bounds = pageBounds(page);
    return this.#database.read(async (db) => {
      let query = db
        .selectFrom('images')
        .selectAll()
        .where('ordinal', '<', bounds.before)
        .where('swept_at_ms', 'is', null);
      if (filter.component !== undefined) query = query.where('component', '=', filter.component);
      const rows = await query.orderBy('ordinal', 'desc').limit(bounds.fetch).execute();
      const images = await withChecks(db, rows.slice(0, bounds.limit));
      return pageOf(
        rows,
        bounds,
        (row) => row.ordinal,
        () => images,
      );
    });
  }

  recordCheck(id: ImageId, result: CheckResult, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, id);
      await tx.db
        .insertInto('image_checks')
        .values({ image_id: id, ordinal: tx.revision, body: toJson(result) })
        .execute();
      await indexState(tx.db, id);
      const { kind, where, passed, passedCount, failedCount } = result;
      tx.event('image.checked', id, { kind, where, passed, passedCount, failedCount });
      tx.audit('image.check', id, { kind, where, passed });
    });
  }

  async tag(id: ImageId, changes: TagChanges, change: Change): Promise<Image> {
    checkTags(changes);
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, id);
      const row = await tx.db.selectFrom('images').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
      const image = fromJson<NewImage>(row.body);
      const tags = withTags(image.tags, changes);
      const body = toJson({ ...image, tags });
      if (body !== row.body) {
        await tx.db.updateTable('images').set({ body }).where('id', '=', id).execute();
        await indexTags(tx.db, image, tags);
        tx.event('image.tagged', id, { tags: changes });
        tx.audit('image.tag', id, { tags: changes });
      }
      const [tagged] = await withChecks(tx.db, [{ ...row, body }]);
      return tagged ?? { ...image, tags, checks: [] };
    });
  }

  revoke(id: ImageId, why: string, change: Change): Promise<readonly ImageId[]> {
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, id);
      const images = await revokeWithDescendants(tx, id, why);
      if (images.length === 0) return images;
      tx.event('image.revoked', id, { why, images });
      tx.audit('image.revoke', id, { why, images });
      return images;
    });
  }

  recordCopy(id: ImageId, reference: string, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      await requireImage(tx.db, id);
      const made = await tx.db
        .insertInto('image_copies')
        .values({ image_id: id, reference })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (made.numInsertedOrUpdatedRows === 0n) return;
      tx.event('image.pushed', id, { reference });
      tx.audit('image.push', id, { reference });
    });
  }

  artifacts(): Promise<readonly Digest[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('image_artifacts').select('digest').distinct().execute();
      return rows.map((row) => row.digest);
    });
  }

  #newest(
    component: ComponentName,
    column: 'version' | 'input_key',
    value: string,
  ): Promise<Image | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('images')
        .selectAll()
        .where('component', '=', component)
        .where('swept_at_ms', 'is', null)
        .where(column, '=', value)
        .orderBy('ordinal', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && (await withChecks(db, [row]))[0];
    });
  }
}

/** In the order of the ids; one that is not there is left out. */
export async function imagesById(db: Reader, ids: readonly ImageId[]): Promise<readonly Image[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('images')
    .selectAll()
    .where('id', 'in', ids)
    .where('swept_at_ms', 'is', null)
    .execute();
  const images = new Map((await withChecks(db, rows)).map((image) => [image.id, image]));
  return ids.flatMap((id) => images.get(id) ?? []);
}

/** What its checks say of it. */
async function indexState(db: Writer, id: ImageId): Promise<void> {
  const [image] = await imagesById(db, [id]);
  const state = image === undefined ? undefined : imageState(image);
  await setState(db, id, TESTED, state === 'tested');
  await setState(db, id, FAILED, state === 'failed');
}

/** Fails with `not-found`, so that nothing is ever said of an image that is not there. */
export async function requireImage(db: Reader, id: ImageId): Promise<void> {
  const row = await db
    .selectFrom('images')
    .select('id')
    .where('id', '=', id)
    .where('swept_at_ms', 'is', null)
    .executeTakeFirst();
  if (row) return;
  throw new KilnError('not-found', `There is no image ${id}.`, {
    next: 'List the images to see which there are.',
    details: { image: id },
  });
}

async function refuseTaken(tx: ChangeTransaction, image: NewImage): Promise<void> {
  const taken = await tx.db
    .selectFrom('images')
    .select('id')
    .where('swept_at_ms', 'is', null)
    .where((where) =>
      where.or([
        where('id', '=', image.id),
        where.and([where('component', '=', image.component), where('version', '=', image.version)]),
      ]),
    )
    .executeTakeFirst();
  if (!taken) return;
  throw new KilnError(
    'input.conflict',
    `${image.component} ${image.version} exists already, as image ${taken.id}.`,
    { next: 'Give the changed source a new version, or use that image.', details: { image: taken.id } },
  );
}

/** What a provider keeps is not taken over while it is about to be deleted there. */
async function refuseLeaving(db: Reader, artifacts: readonly Artifact[]): Promise<void> {
  const kept = artifacts.filter((artifact) => !isStored(artifact));
  if (kept.length === 0) return;
  const leaving = await db
    .selectFrom('swept_artifacts')
    .select('image_id')
    .where('body', 'in', kept.map(toJson))
    .executeTakeFirst();
  if (leaving === undefined) return;
  throw new KilnError('source.changed', 'What the image was to be made of has just been swept.', {
    next: 'Bake again: it is built anew.',
    retryable: true,
  });
}

async function insertImage(tx: ChangeTransaction, image: NewImage): Promise<void> {
  const values = {
    ordinal: tx.revision,
    component: image.component,
    version: image.version,
    input_key: image.inputKey,
    body: toJson(image),
    swept_at_ms: null,
  };
  // One that was swept may come back from a registry, under the id that releases of long ago name it by.
  const swept = await tx.db.updateTable('images').set(values).where('id', '=', image.id).executeTakeFirst();
  if (swept.numUpdatedRows === 0n)
    await tx.db
      .insertInto('images')
      .values({ id: image.id, ...values })
      .execute();
  const digests = [...new Set(image.artifacts.filter(isStored).map((artifact) => artifact.digest))];
  if (digests.length === 0) return;
  await tx.db
    .insertInto('image_artifacts')
    .values(digests.map((digest) => ({ image_id: image.id, digest })))
    .execute();
}

async function withChecks(db: Reader, rows: readonly ImageTable[]): Promise<readonly Image[]> {
  if (rows.length === 0) return [];
  const ids = rows.map((row) => row.id);
  const checkRows = await db
    .selectFrom('image_checks')
    .selectAll()
    .where('image_id', 'in', ids)
    .orderBy('ordinal')
    .execute();
  const checks = Map.groupBy(checkRows, (row) => row.image_id);
  const revocations = await revocationsOf(db, ids);
  return rows.map((row) => ({
    ...fromJson<NewImage>(row.body),
    checks: (checks.get(row.id) ?? []).map((check) => fromJson<CheckResult>(check.body)),
    ...revokedIn(revocations, row.id),
  }));
}

function revokedIn(
  revocations: ReadonlyMap<ImageId, Revocation>,
  id: ImageId,
): { readonly revoked?: Revocation } {
  const revoked = revocations.get(id);
  return revoked === undefined ? {} : { revoked };
}
