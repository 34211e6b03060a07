import { expect, it } from 'vitest';
import type { AuditEntry } from '../../src/domain/audit.ts';
import type { KeyedCall } from '../../src/domain/ports/idempotency.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { by, deployment, image, own, released, service } from './store-samples.ts';
import { open, type StoreUnderTest, tamper } from './store-subjects.ts';

const never = () => new AbortController().signal;

export function journalContract(underTest: () => StoreUnderTest): void {
  it('numbers events without a gap and in order, several of one change too', async () => {
    const { store } = underTest();
    await released(store, 2);
    const fence = await own(store);
    const { id } = await store.deployments.create(deployment(1), by);
    await store.deployments.finish(id, { state: 'deployed' }, fence, by);
    const revision = await store.events.append('bake.step', 'b1', { line: 'npm ci' }, by);
    const events = await store.events.after(0, 100);
    expect(events.map((event) => event.revision)).toEqual(events.map((_, index) => index + 1));
    expect(await store.events.revision()).toBe(events.length);
    expect(events.at(-1)).toEqual({
      revision,
      atMs: by.atMs,
      kind: 'bake.step',
      subject: 'b1',
      data: { line: 'npm ci' },
    });
    expect(await store.events.after(revision - 1, 1)).toEqual([events.at(-1)]);
    expect(await store.events.after(revision, 10)).toEqual([]);
  });

  it('wakes those who wait for a newer revision, in this store and in another one', async () => {
    const { store, settings } = underTest();
    const other = await open(settings);
    try {
      const here = store.events.waitAfter(0, never());
      const there = other.events.waitAfter(0, never());
      await store.events.append('x', 'y', {}, by);
      expect(await here).toBe(1);
      expect(await there).toBe(1);
      expect(await store.events.waitAfter(0, never())).toBe(1);
    } finally {
      await other.close();
    }
  });

  it('forgets old events but for those that somebody needs, and says so to whoever asks for them', async () => {
    const { store } = underTest();
    const at = (atMs: number) => ({ actor: 'alice', atMs });
    const append = (atMs: number) => store.events.append('bake.step', 'b1', {}, at(atMs));
    const oldest = async () => (await store.events.after((await gone()) ?? 0, 1))[0]?.revision;
    /** The last revision that is gone. */
    const gone = () =>
      store.events.after(0, 1).then(
        () => undefined,
        (error) => Number(error.details.oldest) - 1,
      );
    for (const atMs of [10, 20, 50, 30, 60]) await append(atMs);
    expect(await store.events.prune(10)).toBe(0);
    expect(await store.events.after(0, 9)).toHaveLength(5);
    // The fourth came after a younger one, so that it is kept with it.
    expect(await store.events.prune(40)).toBe(2);
    expect(await store.events.prune(40)).toBe(0);
    await expect(store.events.after(1, 9)).rejects.toMatchObject({
      code: 'events.pruned',
      details: { oldest: 3 },
    });
    expect((await store.events.after(2, 9)).map(({ revision }) => revision)).toEqual([3, 4, 5]);

    // A reader that has seen the third, and an execution that is open, keep what follows them.
    await store.triggers.note('test', 3);
    expect(await store.events.prune(1e15)).toBe(1);
    await store.triggers.note('test', 1e13);
    await store.executions.putDefinition('d1', { StartAt: 'A' });
    const origin = { id: 'open', pipeline: 'shop', definition: 'd1', input: {}, priority: 0 };
    await store.executions.create(origin, 'queue', at(70));
    const begun = await store.events.revision();
    for (const atMs of [80, 90]) await append(atMs);
    expect(await store.events.prune(1e15)).toBe(2);
    expect(await oldest()).toBe(begun);
    // The newest stays in any case, and a wait for the next one goes on.
    await store.executions.renew('one', 10_000, 100);
    const [claim] = await store.executions.claim('one', 9, 100);
    const ended = {
      id: 'open',
      fence: claim?.fence ?? 0,
      after: 0,
      events: [{}],
      status: 'SUCCEEDED',
      atMs: 100,
    };
    await store.executions.append({ ...ended, status: 'SUCCEEDED' });
    const newest = await store.events.revision();
    while ((await store.events.prune(1e15)) > 0);
    expect(await oldest()).toBe(newest);
    expect(await store.audit.firstBroken()).toBeUndefined();
    const next = store.events.waitAfter(newest, never());
    await append(110);
    expect(await next).toBe(newest + 1);
  });

  it('ends a wait when its signal is aborted or the store is closed', async () => {
    const { store, settings } = underTest();
    const controller = new AbortController();
    const waiting = store.events.waitAfter(0, controller.signal);
    controller.abort(new Error('gone away'));
    await expect(waiting).rejects.toThrow('gone away');
    await expect(store.events.waitAfter(0, controller.signal)).rejects.toThrow('gone away');
    const other = await open(settings);
    const left = other.events.waitAfter(0, never());
    await Promise.all([expect(left).rejects.toMatchObject({ code: 'aborted' }), other.close()]);
  });

  it('misses nothing and sees nothing twice while writers race, resuming by revision', async () => {
    const { store, settings } = underTest();
    const other = await open(settings);
    const perWriter = 500;
    const writers = [store, other, store, other];
    const total = writers.length * perWriter;
    try {
      const readers = [follow(store, total, 7), follow(other, total, 100)];
      await Promise.all(
        writers.map(async (writer, name) => {
          for (let n = 0; n < perWriter; n += 1) await writer.events.append('race', `w${name}`, { n }, by);
        }),
      );
      for (const seen of await Promise.all(readers)) {
        expect(seen.map((event) => event.revision)).toEqual(Array.from({ length: total }, (_, n) => n + 1));
        for (const name of writers.keys()) {
          const own = seen.filter((event) => event.subject === `w${name}`).map((event) => event.n);
          expect(own).toEqual(Array.from({ length: perWriter }, (_, n) => n));
        }
      }
    } finally {
      await other.close();
    }
  });

  it('chains the audit log, newest first in lists', async () => {
    const { store } = underTest();
    await store.images.create(image(1), by);
    await store.audit.append('auth.denied', 'bob', { why: 'viewer' }, { actor: 'bob', atMs: by.atMs + 1 });
    const { items } = await store.audit.list({ limit: 10 });
    expect(items).toMatchObject([
      { revision: 2, actor: 'bob', action: 'auth.denied', subject: 'bob', detail: { why: 'viewer' } },
      { revision: 1, actor: 'alice', action: 'image.create', subject: image(1).id },
    ]);
    expect(await store.audit.firstBroken()).toBeUndefined();
    const first = await store.audit.list({ limit: 1 });
    const rest = await store.audit.list({ limit: 1, ...(first.cursor ? { cursor: first.cursor } : {}) });
    expect([...first.items, ...rest.items]).toEqual(items);
    expect(rest).not.toHaveProperty('cursor');
  });

  it('has a database that refuses to rewrite the audit log', async () => {
    const { store, settings } = underTest();
    await store.images.create(image(1), by);
    for (const statement of ["update audit set actor = 'mallory'", 'delete from audit']) {
      await expect(tamper(settings, statement)).rejects.toThrow('append-only');
    }
    expect(await store.audit.firstBroken()).toBeUndefined();
  });

  it.each<[string, string, number]>([
    ['changed', "update audit set actor = 'mallory' where revision = 2", 2],
    ['taken out', 'delete from audit where revision = 2', 3],
    ['cut off', 'delete from audit where revision = 4', 4],
    ['added', "insert into audit values (9, 0, 'mallory', 'x', 'y', '{}', 'z')", 9],
  ])('shows a line that was %s behind its back', async (_, statement, broken) => {
    const { store, settings } = underTest();
    for (let n = 1; n <= 4; n += 1) await store.images.create(image(n), by);
    await disarm(settings);
    await tamper(settings, statement);
    expect(await store.audit.firstBroken()).toBe(broken);
  });

  it('keeps tokens by the hash of their secret, and shows no hash anywhere', async () => {
    const { store } = underTest();
    const ci = { name: 'ci', role: 'deployer', environments: ['stage/*'], expiresAtMs: 5 } as const;
    const token = await store.tokens.create(ci, 'hash-of-secret', by);
    expect(token).toMatchObject({ ...ci, createdAtMs: by.atMs });
    const root = await store.tokens.create({ name: 'root', role: 'admin', environments: [] }, 'hash-2', by);
    expect(root).not.toHaveProperty('expiresAtMs');
    expect(await store.tokens.bySecretHash('hash-of-secret')).toEqual(token);
    expect(await store.tokens.list()).toEqual([token, root]);
    await expect(store.tokens.create(ci, 'hash-2', by)).rejects.toMatchObject({ code: 'input.conflict' });
    await store.tokens.delete(token.id, by);
    expect(await store.tokens.bySecretHash('hash-of-secret')).toBeUndefined();
    await expect(store.tokens.delete(token.id, by)).rejects.toMatchObject({ code: 'not-found' });
    const told = JSON.stringify([await store.events.after(0, 100), await auditLines(store)]);
    expect(told).not.toContain('hash-');
  });

  it('answers a repeated call from what was saved, and frees the key of one that made nothing', async () => {
    const { idempotency } = underTest().store;
    const answer = { status: 201, body: '{"id":1}' };
    const first = keyed('alice', 'a1');
    const second = keyed('alice', 'a2');
    expect(await idempotency.begin(first, 0)).toEqual({ kind: 'begun' });
    expect(await idempotency.begin(second, 1)).toEqual({ kind: 'in-progress' });
    expect(await idempotency.begin({ ...second, requestHash: 'other' }, 1)).toEqual({ kind: 'mismatch' });
    expect(await idempotency.begin(keyed('bob', 'b1'), 1)).toEqual({ kind: 'begun' });
    await idempotency.finish(first, answer, 2);
    expect(await idempotency.begin(second, 3)).toEqual({ kind: 'answered', answer });
    expect(await idempotency.begin({ ...second, requestHash: 'other' }, 3)).toEqual({ kind: 'mismatch' });
    await idempotency.forget(first);
    expect(await idempotency.begin(second, 4)).toEqual({ kind: 'answered', answer });
    await idempotency.forget(keyed('bob', 'b1'));
    expect(await idempotency.begin(keyed('bob', 'b2'), 5)).toEqual({ kind: 'begun' });
    const dayMs = 24 * 60 * 60 * 1000;
    expect(await idempotency.begin(second, dayMs + 3)).toEqual({ kind: 'begun' });
  });

  it('gives a key to the next attempt once nobody renews it, or all who held one are known to have ended', async () => {
    const { idempotency } = underTest().store;
    const [first, second, third] = [keyed('alice', 'a1'), keyed('alice', 'a2'), keyed('alice', 'a3')];
    await idempotency.begin(first, 0);
    await idempotency.renew(first, 10_000);
    expect(await idempotency.begin(second, 24_000)).toEqual({ kind: 'in-progress' });
    expect(await idempotency.begin(second, 26_000)).toEqual({ kind: 'begun' });
    // Whoever was only slow changes nothing any more.
    await idempotency.renew(first, 90_000);
    await idempotency.forget(first);
    await idempotency.finish(first, { status: 200, body: '{}' }, 26_000);
    expect(await idempotency.begin(third, 27_000)).toEqual({ kind: 'in-progress' });
    await idempotency.releaseAll('b');
    expect(await idempotency.begin(third, 27_001)).toEqual({ kind: 'in-progress' });
    await idempotency.releaseAll('a');
    expect(await idempotency.begin(third, 27_002)).toEqual({ kind: 'begun' });
  });

  it('notes what a call makes with what it makes, for the next attempt to learn', async () => {
    const { store } = underTest();
    const { idempotency } = store;
    await released(store, 1);
    const [first, second, third] = [keyed('alice', 'a1'), keyed('alice', 'a2'), keyed('alice', 'a3')];
    await idempotency.begin(first, 0);
    const made = await store.deployments.create(deployment(1), { ...by, attempt: first });
    // Its answer was lost with the store's connection, say: it failed, and yet it made something.
    await idempotency.forget(first);
    expect(await idempotency.begin(second, 1)).toEqual({ kind: 'begun', made: made.id });
    await idempotency.releaseAll('');
    expect(await idempotency.begin(third, 2)).toEqual({ kind: 'begun', made: made.id });
  });

  it('makes nothing for an attempt that no longer holds its key', async () => {
    const { store } = underTest();
    const [slow, next] = [keyed('alice', 'a1'), keyed('alice', 'a2')];
    await store.idempotency.begin(slow, 0);
    expect(await store.idempotency.begin(next, 60_000)).toEqual({ kind: 'begun' });
    const before = await store.events.revision();
    const create = store.images.create(image(1), { ...by, attempt: slow });
    await expect(create).rejects.toMatchObject({ code: 'idempotency.in-progress', retryable: true });
    expect(await store.events.revision()).toBe(before);
    expect(await store.images.get(image(1).id)).toBeUndefined();
    await store.images.create(image(1), { ...by, attempt: next });
  });

  it('answers a ping that was written, and stops waiting when told to', async () => {
    const { store } = underTest();
    await store.ping(AbortSignal.timeout(10_000));
    await expect(store.ping(AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });

  it('finds everything again after it was closed and opened', async () => {
    const { store, settings } = underTest();
    await released(store, 2);
    const before = await store.events.after(0, 100);
    const again = await open(settings);
    try {
      expect(await again.events.after(0, 100)).toEqual(before);
      expect((await again.services.get(service))?.stopped).toBe(false);
    } finally {
      await again.close();
    }
  });

  it('refuses a database that a newer Kiln wrote, when opened and when written to', async () => {
    const { store, settings } = underTest();
    await tamper(settings, "insert into schema_migrations values (99, 'from-the-future', 0)");
    await tamper(settings, 'update state set schema_version = 99');
    await expect(open(settings)).rejects.toMatchObject({
      code: 'state.newer-version',
      details: { found: 99 },
      next: expect.stringContaining('newer Kiln'),
    });
    await expect(store.images.create(image(1), by)).rejects.toMatchObject({ code: 'state.newer-version' });
  });

  it('refuses a database that holds tables of another program', async () => {
    const { settings } = underTest();
    await tamper(settings, 'alter table schema_migrations rename to something_else');
    await expect(open(settings)).rejects.toMatchObject({ code: 'input.invalid' });
  });
}

function keyed(actor: string, attempt: string): KeyedCall {
  return { key: 'k', actor, attempt, requestHash: 'h' };
}

interface Seen {
  readonly revision: number;
  readonly subject: string;
  readonly n: unknown;
}

/** Reads as a client that resumes does: by the last revision it has, a few at a time. */
async function follow(store: Store, total: number, limit: number): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (let last = 0; seen.length < total; last = seen.at(-1)?.revision ?? 0) {
    await store.events.waitAfter(last, AbortSignal.timeout(50_000));
    for (const { revision, subject, data } of await store.events.after(last, limit)) {
      seen.push({ revision, subject, n: data.n });
    }
  }
  return seen;
}

async function auditLines(store: Store): Promise<readonly AuditEntry[]> {
  return (await store.audit.list({ limit: 100 })).items;
}

/** What an attacker with full rights would do first. */
async function disarm(settings: StoreUnderTest['settings']): Promise<void> {
  const statements =
    settings.kind === 'postgres'
      ? ['alter table audit disable trigger all']
      : ['drop trigger audit_no_update', 'drop trigger audit_no_delete'];
  for (const statement of statements) await tamper(settings, statement);
}
