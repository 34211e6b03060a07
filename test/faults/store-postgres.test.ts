/** What Postgres and the network can do to the store: give way, deadlock, cut, lose a COMMIT, restart, crash. */
import { setImmediate } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/domain/ports/clock.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { POSTGRES_MISSING, PrivatePostgres, postgresBinaries, runSql } from '../contracts/postgres.ts';
import { by, image, own, released, service } from '../contracts/store-samples.ts';
import { open } from '../contracts/store-subjects.ts';
import { type Cut, CuttingProxy } from './store-postgres-proxy.ts';

/** For those who give up: all attempts, without the pauses between them. */
const hastyClock: Clock = { ...systemClock, sleep: () => setImmediate() };

const never = () => new AbortController().signal;

function postgresFaults(): void {
  let postgres: PrivatePostgres;
  let proxy: CuttingProxy;
  let url: string;
  let store: Store;

  beforeAll(async () => {
    postgres = await PrivatePostgres.start();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    url = await postgres.database();
    proxy = await CuttingProxy.start(postgres.port);
    store = await open({ kind: 'postgres', url: url.replace(`:${postgres.port}/`, `:${proxy.port}/`) });
    return async () => {
      await store.close();
      await proxy.close();
    };
  });

  /** Ends the store's connections from within Postgres; answers how many. */
  async function terminateConnections(): Promise<number> {
    const ended = await runSql(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    );
    return ended.rowCount ?? 0;
  }

  it('tries again what Postgres could not serialize, and writes it once', async () => {
    await runSql(
      url,
      `create sequence attempts;
       create function give_way() returns trigger language plpgsql as $$ begin
         if nextval('attempts') < 4 then raise exception 'give way' using errcode = '40001'; end if;
         return new;
       end $$;
       create trigger give_way before insert on events for each row execute function give_way()`,
    );
    expect(await store.events.append('x', 'y', {}, by)).toBe(1);
    const attempts = await runSql(url, 'select last_value from attempts');
    expect(attempts.rows).toEqual([{ last_value: '4' }]);
    expect(await store.events.after(0, 10)).toHaveLength(1);
  });

  it('gives up as busy, retryable, when Postgres never lets it pass', async () => {
    await runSql(
      url,
      `create function give_way() returns trigger language plpgsql as $$ begin
         raise exception 'give way' using errcode = '40001'; end $$;
       create trigger give_way before insert on events for each row execute function give_way()`,
    );
    const hasty = await openStore({ kind: 'postgres', url }, { clock: hastyClock });
    await expect(hasty.events.append('x', 'y', {}, by)).rejects.toMatchObject({
      code: 'store.busy',
      retryable: true,
    });
    await hasty.close();
  });

  it('tries again when it was the victim of a deadlock', async () => {
    await released(store);
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    try {
      // The other waits longer before it looks for deadlocks, so that the store's write is the victim.
      await other.query("begin; set local deadlock_timeout = '1h'");
      await other.query('select * from services for update');
      const stopping = store.services.setStopped(service, true, by);
      await expect
        .poll(async () => (await runSql(url, 'select 1 from pg_locks where not granted')).rowCount, {
          timeout: 30_000,
        })
        .toBe(1);
      await other.query('select * from state for update');
      await other.query('commit');
      await stopping;
      const deadlocks = () =>
        runSql(url, 'select deadlocks::int from pg_stat_database where datname = current_database()');
      await expect.poll(async () => (await deadlocks()).rows[0]?.deadlocks, { timeout: 20_000 }).toBe(1);
      expect((await store.services.get(service))?.stopped).toBe(true);
    } finally {
      await other.end();
    }
  });

  it.each<[Cut, number]>([
    ['before-commit', 0],
    ['after-commit', 1],
  ])('never repeats a write whose COMMIT was cut (%s)', async (cut, written) => {
    proxy.cutAtCommit(cut);
    await expect(store.images.create(image(1), by)).rejects.toMatchObject({
      code: 'store.lost',
      retryable: false,
      details: { outcome: 'unknown' },
    });
    expect(await store.events.after(0, 10)).toHaveLength(written);
    expect((await store.images.list({}, { limit: 10 })).items).toHaveLength(written);

    proxy.cutAtCommit(cut);
    const lease = store.leases.acquire(service, 'a', 1000, 0);
    await expect(lease).rejects.toMatchObject({ code: 'store.lost', retryable: true });
    expect(await own(store, 'a')).toBe(1);
  });

  it('keeps writing and reading while its connections are cut again and again', async () => {
    const acknowledged: number[] = [];
    const lost: unknown[] = [];
    let writing = true;
    const writers = [0, 1, 2].map(async (writer) => {
      for (let n = 0; writing; n += 1) {
        const id = writer * 1_000_000 + n;
        await store.events.append('x', 'y', { id }, by).then(
          () => acknowledged.push(id),
          (thrown) => lost.push(thrown),
        );
      }
    });
    const seen: unknown[] = [];
    const stopped = new AbortController();
    const follower = follow(store, seen, stopped.signal);
    let cut = 0;
    for (let round = 0; round < 10; round += 1) {
      const before = acknowledged.length;
      cut += await terminateConnections();
      proxy.cutAll();
      await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(before + 20);
    }
    writing = false;
    await Promise.all(writers);
    expect(cut).toBeGreaterThan(10);
    await expect.poll(() => seen.length, { timeout: 30_000 }).toBe(await store.events.revision());
    stopped.abort();
    await follower;
    expect(new Set(seen).size).toBe(seen.length);
    expect(acknowledged.filter((id) => !seen.includes(id))).toEqual([]);
    // Only a COMMIT that was cut may fail, and then it is said that its outcome is unknown.
    for (const thrown of lost) expect(thrown).toMatchObject({ code: 'store.lost', retryable: false });
    expect(seen.length - acknowledged.length).toBeLessThanOrEqual(lost.length);
  });

  it('listens again after its listening connection was cut, and hears others', async () => {
    const listeners = async () =>
      (await runSql(url, "select pid from pg_stat_activity where query = 'listen kiln_revision'")).rows;
    await expect.poll(async () => (await listeners()).length, { timeout: 30_000 }).toBe(1);
    const before = await listeners();
    const waiting = store.events.waitAfter(0, never());
    await terminateConnections();
    await expect
      .poll(async () => (await listeners()).filter((now) => now.pid !== before[0]?.pid).length, {
        timeout: 30_000,
      })
      .toBe(1);
    const other = await open({ kind: 'postgres', url });
    await other.events.append('x', 'y', {}, by);
    await other.close();
    expect(await waiting).toBe(1);
  });

  it('waits out a restart, and says that Postgres is out of reach when it stays away', async () => {
    const failed = Promise.withResolvers<void>();
    const back = Promise.withResolvers<void>();
    // No time passes until Postgres is back, however long that takes here.
    const standing: Clock = {
      ...systemClock,
      monotonic: () => 0,
      sleep: () => {
        failed.resolve();
        return back.promise;
      },
    };
    const patient = await openStore({ kind: 'postgres', url }, { clock: standing });
    await store.events.append('x', 'y', { n: 1 }, by);
    const waiting = store.events.waitAfter(1, never());
    await postgres.down('SIGQUIT');
    const written = patient.events.append('x', 'y', { n: 2 }, by);
    await failed.promise;
    await postgres.up();
    back.resolve();
    expect(await written).toBe(2);
    await patient.close();
    expect(await waiting).toBe(2);
    expect((await store.events.after(0, 10)).map((event) => event.data.n)).toEqual([1, 2]);

    const hasty = await openStore({ kind: 'postgres', url }, { clock: hastyClock });
    await postgres.down();
    await expect(hasty.events.append('x', 'y', {}, by)).rejects.toMatchObject({
      code: 'store.lost',
      retryable: true,
      next: expect.stringContaining('DATABASE_URL'),
    });
    await expect(store.ping(AbortSignal.timeout(100))).rejects.toThrow();
    await hasty.close();
    await postgres.up();
    await store.ping(AbortSignal.timeout(20_000));
  });

  it('never shows a password', async () => {
    const failing = url.replace('kiln@', 'nobody:hunter2@').replace(/kiln_\d+$/, 'absent');
    const thrown = await open({ kind: 'postgres', url: failing }).catch((error: unknown) => error);
    expect(thrown).toMatchObject({ code: 'input.invalid' });
    expect(String(thrown)).not.toContain('hunter2');
    await expect(open({ kind: 'postgres', url: 'postgres://kiln:hunter2@[bad/kiln' })).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.not.stringContaining('hunter2'),
    });
  });
}

async function follow(store: Store, seen: unknown[], stopped: AbortSignal): Promise<void> {
  for (let last = 0; !stopped.aborted; ) {
    await store.events.waitAfter(last, stopped).catch((thrown: unknown) => {
      if (!stopped.aborted) throw thrown;
    });
    for (const event of await store.events.after(last, 100)) {
      last = event.revision;
      seen.push(event.data.id);
    }
  }
}

if (postgresBinaries() !== undefined || process.env.CI === 'true') {
  describe('faults of Postgres', postgresFaults);
} else {
  it.skip(`faults of Postgres: ${POSTGRES_MISSING}`);
}
