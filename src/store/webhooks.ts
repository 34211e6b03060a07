/**
 * Webhooks. A delivery is noted before anybody acts on it, and its answer after: one without an answer is of a server
 * that ended between the two, and may be acted on again. A status has one row for its execution, which goes once the
 * end is told: `due_at_ms` is null when what was wanted so far was told, or given up.
 */
import type { Change } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import type {
  CommitStatus,
  DeliveryName,
  DeliveryState,
  DueStatus,
  SealedSecret,
  WebhookStore,
} from '../domain/ports/webhooks.ts';
import type { CommitState, Webhook } from '../domain/webhook.ts';
import type { Database } from './database.ts';
import type { Reader, Writer } from './engine.ts';
import { asJson, fromJson } from './json.ts';

export class Webhooks implements WebhookStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add(
    webhook: Omit<Webhook, 'createdAtMs' | 'createdBy'>,
    secret: SealedSecret,
    change: Change,
  ): Promise<Webhook> {
    const { id, name, provider, repository } = webhook;
    const made: Webhook = { ...webhook, createdAtMs: change.atMs, createdBy: change.actor };
    return this.#database.change(change, async (tx) => {
      const taken = await tx.db
        .selectFrom('webhooks')
        .select('name')
        .where('name', '=', name)
        .executeTakeFirst();
      if (taken) {
        throw new KilnError('input.conflict', `There is a webhook ${name} already.`, {
          next: `Give another name, or remove it first: kiln webhook remove ${name}`,
        });
      }
      await putSecret(tx.db, id, secret);
      await tx.db
        .insertInto('webhooks')
        .values({ name, body: asJson(made) })
        .execute();
      tx.event('webhook.added', name, { provider, repository });
      tx.audit('webhook.add', name, { provider, repository });
      return made;
    });
  }

  remove(name: string, change: Change): Promise<void> {
    return this.#database.change(change, async (tx) => {
      const gone = await tx.db
        .deleteFrom('webhooks')
        .where('name', '=', name)
        .returning('body')
        .executeTakeFirst();
      if (!gone) {
        throw new KilnError('not-found', `There is no webhook ${name}.`, { next: 'Run: kiln webhook list' });
      }
      const { id } = fromJson<Webhook>(gone.body);
      await tx.db.deleteFrom('webhook_secrets').where('webhook_id', '=', id).execute();
      await tx.db.deleteFrom('webhook_deliveries').where('webhook', '=', name).execute();
      await tx.db.deleteFrom('commit_statuses').where('webhook', '=', name).execute();
      tx.event('webhook.removed', name, {});
      tx.audit('webhook.remove', name, {});
    });
  }

  get(name: string): Promise<Webhook | undefined> {
    return this.#database.read(async (db) => {
      const row = await db.selectFrom('webhooks').select('body').where('name', '=', name).executeTakeFirst();
      return row && fromJson<Webhook>(row.body);
    });
  }

  list(): Promise<readonly Webhook[]> {
    return this.#database.read(async (db) => {
      const rows = await db.selectFrom('webhooks').select('body').orderBy('name').execute();
      return rows.map(({ body }) => fromJson<Webhook>(body));
    });
  }

  bringSecret(id: string, secret: SealedSecret): Promise<void> {
    return this.#database.coordinate((db) => putSecret(db, id, secret));
  }

  secretOf(id: string): Promise<string | undefined> {
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('webhook_secrets')
        .select('sealed')
        .where('webhook_id', '=', id)
        .executeTakeFirst();
      return row?.sealed;
    });
  }

  sealedWith(): Promise<string | undefined> {
    return this.#database.read(keyInUse);
  }

  receive(
    { webhook, id, bodyDigest }: DeliveryName & { readonly bodyDigest?: string },
    atMs: number,
    { keptMs, most }: { readonly keptMs: number; readonly most: number },
  ): Promise<DeliveryState> {
    return this.#database.coordinate(async (db) => {
      await forgetOld(db, webhook, atMs - keptMs, most);
      const rows = await db
        .selectFrom('webhook_deliveries')
        .selectAll()
        .where('webhook', '=', webhook)
        .where((where) =>
          bodyDigest === undefined
            ? where('id', '=', id)
            : where.or([where('id', '=', id), where('body_digest', '=', bodyDigest)]),
        )
        .execute();
      const [first] = rows;
      if (first === undefined) {
        const values = { webhook, id, body_digest: bodyDigest ?? null, at_ms: atMs, answer: null };
        await db.insertInto('webhook_deliveries').values(values).execute();
        return { kind: 'new' };
      }
      const isSame = rows.length === 1 && first.id === id && first.body_digest === (bodyDigest ?? null);
      if (!isSame) return { kind: 'replayed', firstAtMs: first.at_ms };
      return { kind: 'known', ...(first.answer !== null && { answer: fromJson<unknown>(first.answer) }) };
    });
  }

  answered({ webhook, id }: DeliveryName, answer: unknown): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('webhook_deliveries')
        .set({ answer: asJson(answer) })
        .where('webhook', '=', webhook)
        .where('id', '=', id)
        .execute();
    });
  }

  wantStatus(status: CommitStatus, atMs: number): Promise<void> {
    const { execution, webhook, pipeline, commit, state } = status;
    return this.#database.coordinate(async (db) => {
      const row = await db
        .selectFrom('commit_statuses')
        .select('state')
        .where('execution', '=', execution)
        .executeTakeFirst();
      if (row !== undefined && (row.state === state || row.state !== 'pending')) return;
      const wanted = { state, wanted_at_ms: atMs, attempts: 0, due_at_ms: atMs };
      await db
        .insertInto('commit_statuses')
        .values({ execution, webhook, pipeline, commit_id: commit, ...wanted })
        .onConflict((conflict) => conflict.column('execution').doUpdateSet(wanted))
        .execute();
    });
  }

  claimStatuses(
    webhooks: readonly string[],
    nowMs: number,
    ttlMs: number,
    limit: number,
  ): Promise<readonly DueStatus[]> {
    if (webhooks.length === 0) return Promise.resolve([]);
    return this.#database.coordinate(async (db) => {
      const rows = await db
        .selectFrom('commit_statuses')
        .selectAll()
        .where('due_at_ms', '<=', nowMs)
        .where('webhook', 'in', webhooks)
        .orderBy('due_at_ms')
        .limit(limit)
        .execute();
      for (const { execution, attempts } of rows) {
        await db
          .updateTable('commit_statuses')
          .set({ due_at_ms: nowMs + ttlMs, attempts: attempts + 1 })
          .where('execution', '=', execution)
          .execute();
      }
      return rows.map(({ commit_id, wanted_at_ms, due_at_ms: _, ...row }) => ({
        ...row,
        commit: commit_id,
        wantedAtMs: wanted_at_ms,
      }));
    });
  }

  statusSent({ execution, state }: Pick<CommitStatus, 'execution' | 'state'>): Promise<void> {
    return this.#settle(execution, state, null, state !== 'pending');
  }

  statusFailed(
    { execution, state }: Pick<CommitStatus, 'execution' | 'state'>,
    nextAtMs: number | undefined,
  ): Promise<void> {
    return this.#settle(execution, state, nextAtMs ?? null, nextAtMs === undefined && state !== 'pending');
  }

  nextStatusAtMs(webhooks: readonly string[]): Promise<number | undefined> {
    if (webhooks.length === 0) return Promise.resolve(undefined);
    return this.#database.read(async (db) => {
      const row = await db
        .selectFrom('commit_statuses')
        .select(({ fn }) => fn.min('due_at_ms').as('due'))
        .where('due_at_ms', 'is not', null)
        .where('webhook', 'in', webhooks)
        .executeTakeFirst();
      return row?.due ?? undefined;
    });
  }

  /** Only what is still wanted: an end that was wanted while `pending` was told stays due. */
  #settle(execution: string, state: CommitState, dueAtMs: number | null, isOver: boolean): Promise<void> {
    return this.#database.coordinate(async (db) => {
      const ofIt = { execution, state };
      await (isOver
        ? db
            .deleteFrom('commit_statuses')
            .where((where) => where.and(ofIt))
            .execute()
        : db
            .updateTable('commit_statuses')
            .set({ due_at_ms: dueAtMs })
            .where((where) => where.and(ofIt))
            .execute());
    });
  }
}

async function keyInUse(db: Reader): Promise<string | undefined> {
  return (await db.selectFrom('webhook_secrets').select('key_id').limit(1).executeTakeFirst())?.key_id;
}

async function putSecret(db: Writer, id: string, { key, sealed }: SealedSecret): Promise<void> {
  const inUse = await keyInUse(db);
  if (inUse !== undefined && inUse !== key) {
    throw new KilnError(
      'input.conflict',
      `The secrets of this database are sealed with the key ${inUse}, not ${key}.`,
      {
        next: 'Give every server of the database the same key: KILN_KEY_FILE.',
      },
    );
  }
  await db
    .insertInto('webhook_secrets')
    .values({ webhook_id: id, key_id: key, sealed })
    .onConflict((conflict) => conflict.column('webhook_id').doNothing())
    .execute();
}

/** Older than it is kept for, or beyond the newest so many. */
async function forgetOld(db: Writer, webhook: string, beforeMs: number, most: number): Promise<void> {
  const oldest = await db
    .selectFrom('webhook_deliveries')
    .select('at_ms')
    .where('webhook', '=', webhook)
    .orderBy('at_ms', 'desc')
    .offset(most - 1)
    .limit(1)
    .executeTakeFirst();
  await db
    .deleteFrom('webhook_deliveries')
    .where('webhook', '=', webhook)
    .where('at_ms', '<', Math.max(beforeMs, oldest?.at_ms ?? 0))
    .execute();
}
