/** What a router must do with tables: admit, weigh, drain, remove, refuse what is stale. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { HealthSpec } from '../../src/domain/component.ts';
import type { InstanceId } from '../../src/domain/ids.ts';
import type { EndpointObservation } from '../../src/domain/routing.ts';
import { freePort } from '../free-port.ts';
import { ask, Load } from './router-client.ts';
import { type RouterSubject, TableMaker, until, Workplace } from './router-subjects.ts';
import { Upstream } from './router-upstream.ts';

export function tablesContract(subject: RouterSubject): void {
  describe('tables', () => {
    let place: Workplace;
    let count = 0;
    const started: Upstream[] = [];

    beforeAll(async () => {
      place = await Workplace.start(subject);
    });
    afterEach(async () => {
      for (const upstream of started.splice(0)) {
        upstream.release();
        await upstream.stop();
      }
    });
    afterAll(() => place?.remove());

    const newMaker = () => new TableMaker(`tables-${++count}`);
    const newUpstream = async (name: string, port = 0) => {
      const upstream = await Upstream.start(`${name}-${count}`, port);
      started.push(upstream);
      return upstream;
    };
    const get = (maker: TableMaker, path = '/') => ask({ port: place.port, host: maker.host, path });
    const observed = async (
      maker: TableMaker,
      instance: InstanceId,
    ): Promise<EndpointObservation | undefined> => {
      const { endpoints } = await place.router.observe(maker.service, place.signal);
      return endpoints.find((each) => each.instance === instance);
    };
    const healthy = (maker: TableMaker, ...upstreams: Upstream[]) =>
      until(`${upstreams.map((each) => each.instance)} are up`, async () => {
        for (const each of upstreams) {
          if ((await observed(maker, each.instance))?.health !== 'up') return false;
        }
        return true;
      });

    it('send nothing to an instance before its first passed check', async () => {
      const maker = newMaker();
      const [old, fresh] = [await newUpstream('old'), await newUpstream('fresh')];
      fresh.isHealthy = false;
      await place.router.apply(maker.table({ v1: { upstreams: [old] } }), place.signal);
      await healthy(maker, old);
      await place.router.apply(
        maker.table({ v1: { upstreams: [old] }, v2: { upstreams: [fresh], weight: 900 } }),
        place.signal,
      );
      const load = new Load(place.port, maker.host, { connections: 4, keepAlive: true });
      await until('it was checked a few times', () => fresh.checks >= 3);
      expect(fresh.served).toBe(0);
      expect((await observed(maker, fresh.instance))?.health).not.toBe('up');
      fresh.isHealthy = true;
      await until('it serves', () => fresh.served > 0);
      await load.stop();
      expect(load.failures).toEqual([]);
    });

    it('share traffic by weight, evenly within a group', async () => {
      const maker = newMaker();
      const [one, two, three] = [
        await newUpstream('one'),
        await newUpstream('two'),
        await newUpstream('three'),
      ];
      await place.router.apply(
        maker.table({ v1: { upstreams: [one, two], weight: 90 }, v2: { upstreams: [three], weight: 10 } }),
        place.signal,
      );
      await healthy(maker, one, two, three);
      await until('weights have settled', async () => (await get(maker)).status === 200);
      await sleep(100);
      const before = [one.served, two.served, three.served];
      for (let round = 0; round < 400; round++) await get(maker);
      const [first = 0, second = 0, third = 0] = [one, two, three].map(
        (each, index) => each.served - (before[index] ?? 0),
      );
      expect(first + second + third).toBe(400);
      expect(third).toBeGreaterThan(30);
      expect(third).toBeLessThan(50);
      expect(Math.abs(first - second)).toBeLessThan(30);
      const { weights } = await place.router.observe(maker.service, place.signal);
      expect(Object.values(weights).sort()).toEqual([10, 90]);
    });

    it('check a group of weight 0 and send it nothing', async () => {
      const maker = newMaker();
      const [live, spare] = [await newUpstream('live'), await newUpstream('spare')];
      await place.router.apply(
        maker.table({ v1: { upstreams: [live] }, v2: { upstreams: [spare], weight: 0 } }),
        place.signal,
      );
      await healthy(maker, live, spare);
      for (let round = 0; round < 50; round++) await get(maker);
      expect([live.served, spare.served]).toEqual([50, 0]);
      await place.router.apply(
        maker.table({ v1: { upstreams: [live], weight: 0 }, v2: { upstreams: [spare] } }),
        place.signal,
      );
      for (let round = 0; round < 50; round++) await get(maker);
      expect([live.served, spare.served]).toEqual([50, 50]);
    });

    it('take an instance out that fails its checks, and back in', async () => {
      const maker = newMaker();
      const [sick, well] = [await newUpstream('sick'), await newUpstream('well')];
      await place.router.apply(maker.table({ v1: { upstreams: [sick, well] } }), place.signal);
      await healthy(maker, sick, well);
      sick.isHealthy = false;
      await until('it is down', async () => (await observed(maker, sick.instance))?.health === 'down');
      const before = sick.served;
      for (let round = 0; round < 20; round++) expect((await get(maker)).text).toBe(well.instance);
      expect(sick.served).toBe(before);
      sick.isHealthy = true;
      await healthy(maker, sick);
      await until('it serves', async () => (await get(maker)).text === sick.instance);
    });

    it.each([
      { what: 'path', timeoutMs: 3_000 },
      { what: 'path and a longer limit', timeoutMs: 5_000 },
      { what: 'path and a shorter limit', timeoutMs: 2_500 },
    ])('move traffic between groups whose checks have another $what, and no request fails', async (to) => {
      const maker = newMaker();
      const [old, fresh] = [await newUpstream('old'), await newUpstream('fresh')];
      [old.healthPath, fresh.healthPath] = ['/old-health', '/fresh-health'];
      const ofOld = { path: '/old-health', intervalMs: 100, timeoutMs: 3_000, startupMs: 10_000 };
      const ofFresh = { path: '/fresh-health', intervalMs: 150, timeoutMs: to.timeoutMs, startupMs: 10_000 };
      const apply = (groups: Parameters<TableMaker['table']>[0], health: HealthSpec) =>
        place.router.apply(maker.table(groups, { health }), place.signal);
      const bothStayUp = async () => {
        const [oldChecks, freshChecks] = [old.checks, fresh.checks];
        await until('both are checked', async () => {
          expect((await observed(maker, old.instance))?.health).toBe('up');
          expect((await observed(maker, fresh.instance))?.health).toBe('up');
          return old.checks > oldChecks + 3 && fresh.checks > freshChecks + 3;
        });
      };

      // Right after its start a router may hold what it cannot answer yet; from here on it does not, and has
      // checked with each of these limits before.
      await place.router.apply(
        newMaker().table({ v1: { upstreams: [] } }, { health: ofFresh }),
        place.signal,
      );
      await apply({ v1: { upstreams: [] } }, ofOld);
      expect((await get(maker)).status).toBe(503);
      await apply({ v1: { upstreams: [old] } }, ofOld);
      await healthy(maker, old);
      const load = new Load(place.port, maker.host, { connections: 4, keepAlive: true });
      const v2 = { upstreams: [fresh], health: ofFresh };
      await apply({ v1: { upstreams: [old] }, v2: { ...v2, weight: 0 } }, ofOld);
      await healthy(maker, old, fresh);
      await bothStayUp();
      const v1 = { upstreams: [old], weight: 0, health: ofOld };
      await apply({ v1, v2: { upstreams: [fresh] } }, ofFresh);
      await healthy(maker, old, fresh);
      await bothStayUp();
      await apply({ v1: { upstreams: [old] }, v2: { ...v2, weight: 0 } }, ofOld);
      await healthy(maker, old, fresh);
      await apply({ v1, v2: { upstreams: [fresh] } }, ofFresh);
      await healthy(maker, old, fresh);
      await apply({ v2: { upstreams: [fresh] } }, ofFresh);
      await until('only the new one is held', async () => !(await observed(maker, old.instance)));
      await healthy(maker, fresh);
      const before = fresh.served;
      await until('it goes on', () => fresh.served > before + 100);
      await load.stop();
      expect(load.failures).toEqual([]);
    });

    it('retry on another instance when nobody listens any more', async () => {
      const maker = newMaker();
      const [dead, alive] = [await newUpstream('dead'), await newUpstream('alive')];
      await place.router.apply(maker.table({ v1: { upstreams: [dead, alive] } }), place.signal);
      await healthy(maker, dead, alive);
      await dead.stop();
      for (let round = 0; round < 20; round++) {
        const answer = await get(maker);
        expect([answer.status, answer.text]).toEqual([200, alive.instance]);
      }
      await until(
        'it is seen as down',
        async () => (await observed(maker, dead.instance))?.health === 'down',
      );
    });

    it('answer 503 with a reason when no instance is healthy', async () => {
      const maker = newMaker();
      await place.router.apply(maker.table({ v1: { upstreams: [] } }), place.signal);
      const answer = await ask({
        port: place.port,
        host: maker.host,
        headers: { accept: 'application/json' },
      });
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
        'retry-after': '1',
        'x-kiln-reason': 'router.no-healthy-instance',
      });
      expect(JSON.parse(answer.text)).toMatchObject({
        status: 503,
        title: 'Service Unavailable',
        code: 'router.no-healthy-instance',
      });
      const page = await get(maker);
      expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
      expect(page.text).toContain('<h1>503 Service Unavailable</h1>');
    });

    it('let requests wait for the first healthy instance', async () => {
      const maker = newMaker();
      const port = await freePort();
      await place.router.apply(maker.table({ v1: { upstreams: [] } }, { holdMs: 10_000 }), place.signal);
      const waiting = Promise.all([get(maker), get(maker), get(maker)]);
      await sleep(200);
      const late = await newUpstream('late', port);
      await place.router.apply(maker.table({ v1: { upstreams: [late] } }, { holdMs: 10_000 }), place.signal);
      expect((await waiting).map((answer) => answer.text)).toEqual(Array(3).fill(late.instance));
    });

    it('give up waiting after holdMs', async () => {
      const maker = newMaker();
      await place.router.apply(maker.table({ v1: { upstreams: [] } }, { holdMs: 200 }), place.signal);
      const startMs = performance.now();
      expect((await get(maker)).status).toBe(503);
      expect(performance.now() - startMs).toBeGreaterThan(150);
    });

    it.each(['as draining', 'by leaving it out'])(
      'drain an instance %s: nothing new, what runs goes on',
      async (how) => {
        const maker = newMaker();
        const [old, fresh] = [await newUpstream('old'), await newUpstream('fresh')];
        await place.router.apply(maker.table({ v1: { upstreams: [old] } }), place.signal);
        await healthy(maker, old);
        const longPoll = get(maker, '/hang');
        const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host: maker.host } });
        await once(socket, 'open');
        await until('both are in flight', async () => (await observed(maker, old.instance))?.inFlight === 2);

        const v1 = how === 'as draining' ? { v1: { upstreams: [old], draining: [old] } } : {};
        await place.router.apply(maker.table({ ...v1, v2: { upstreams: [fresh] } }), place.signal);
        await healthy(maker, fresh);
        const served = old.served;
        for (let round = 0; round < 20; round++) expect((await get(maker)).text).toBe(fresh.instance);
        expect(old.served).toBe(served);
        expect(await observed(maker, old.instance)).toMatchObject({ draining: true, inFlight: 2 });
        const echoed = once(socket, 'message');
        socket.send('still there?');
        expect(String((await echoed)[0])).toContain('still there?');

        old.release();
        expect((await longPoll).text).toContain('at last');
        await until('one is left', async () => (await observed(maker, old.instance))?.inFlight === 1);
        socket.close();
        await until('it is let go', async () => ((await observed(maker, old.instance))?.inFlight ?? 0) === 0);
        if (how === 'by leaving it out') {
          await until('it is forgotten', async () => (await observed(maker, old.instance)) === undefined);
        }
      },
    );

    it('cut what is in flight when the drain time is over', async () => {
      const maker = newMaker();
      const [old, fresh] = [await newUpstream('old'), await newUpstream('fresh')];
      await place.router.apply(
        maker.table({ v1: { upstreams: [old, fresh] } }, { drainMs: 300 }),
        place.signal,
      );
      await healthy(maker, old, fresh);
      const asked: Promise<unknown>[] = [];
      while (old.hanging === 0) {
        asked.push(get(maker, '/hang').catch((thrown: unknown) => thrown));
        await until('it arrived', () => old.hanging + fresh.hanging === asked.length);
      }
      await place.router.apply(
        maker.table({ v1: { upstreams: [old, fresh], draining: [old] } }, { drainMs: 300 }),
        place.signal,
      );
      await until(
        'it was cut',
        async () => (await observed(maker, old.instance))?.inFlight === 0 && old.hanging === 0,
      );
      fresh.release();
      await Promise.all(asked);
    });

    it('of an older generation are refused, of an equal one change nothing', async () => {
      const maker = newMaker();
      const [first, second] = [await newUpstream('first'), await newUpstream('second')];
      const older = maker.table({ v1: { upstreams: [second] } });
      const current = maker.table({ v1: { upstreams: [first] } });
      await place.router.apply(current, place.signal);
      await healthy(maker, first);
      await expect(place.router.apply(older, place.signal)).rejects.toMatchObject({ code: 'fence.stale' });
      await place.router.apply({ ...older, generation: current.generation }, place.signal);
      expect((await get(maker)).text).toBe(first.instance);
      const { generation } = await place.router.observe(maker.service, place.signal);
      expect(generation).toEqual(current.generation);
      const newFence = { ...older, generation: { fence: 2, sequence: 0 } };
      await place.router.apply(newFence, place.signal);
      await expect(place.router.apply(maker.table({}), place.signal)).rejects.toMatchObject({
        code: 'fence.stale',
      });
    });

    it('are withdrawn, and stay so for what comes late', async () => {
      const maker = newMaker();
      const only = await newUpstream('only');
      const table = maker.table({ v1: { upstreams: [only] } });
      await place.router.apply(table, place.signal);
      await healthy(maker, only);
      expect(await place.router.services(place.signal)).toContain(maker.service);
      await place.router.withdraw(maker.service, maker.next(), place.signal);
      expect((await get(maker)).status).toBe(404);
      await until(
        'it is gone',
        async () => !(await place.router.services(place.signal)).includes(maker.service),
      );
      expect((await place.router.observe(maker.service, place.signal)).generation).toBeUndefined();
      await expect(place.router.apply(table, place.signal)).rejects.toMatchObject({ code: 'fence.stale' });
      await place.router.apply(maker.table({ v1: { upstreams: [only] } }), place.signal);
      await until('it is back', async () => (await get(maker)).text === only.instance);
    });

    it('may not take the route of another service', async () => {
      const [mine, theirs] = [newMaker(), newMaker()];
      const only = await newUpstream('only');
      await place.router.apply(mine.table({ v1: { upstreams: [only] } }), place.signal);
      const stolen = theirs.table({ v1: { upstreams: [only] } });
      await expect(
        place.router.apply(
          { ...stolen, routes: stolen.routes.map((route) => ({ ...route, host: mine.host })) },
          place.signal,
        ),
      ).rejects.toMatchObject({ code: 'route.conflict' });
    });

    it('follow an instance that comes back on another port', async () => {
      const maker = newMaker();
      const first = await newUpstream('same');
      await place.router.apply(maker.table({ v1: { upstreams: [first] } }), place.signal);
      await healthy(maker, first);
      await first.stop();
      const second = await newUpstream('same');
      await place.router.apply(maker.table({ v1: { upstreams: [second] } }), place.signal);
      await until('it serves again', async () => (await get(maker)).status === 200);
      expect(second.served).toBeGreaterThan(0);
    });

    it('change a hundred times under load, and no request fails', async () => {
      const maker = newMaker();
      const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) => newUpstream(name)));
      const [a, b, c, d] = all as [Upstream, Upstream, Upstream, Upstream];
      await place.router.apply(maker.table({ v1: { upstreams: [a, b] } }), place.signal);
      await healthy(maker, a, b);
      const kept = new Load(place.port, maker.host, { connections: 8, keepAlive: true });
      const fresh = new Load(place.port, maker.host, { connections: 2, keepAlive: false });
      for (let round = 0; round < 34; round++) {
        const [from, to] =
          round % 2 === 0
            ? [
                [a, b],
                [c, d],
              ]
            : [
                [c, d],
                [a, b],
              ];
        const oldName = `v${round + 1}`;
        const newName = `v${round + 2}`;
        await place.router.apply(
          maker.table({ [oldName]: { upstreams: from }, [newName]: { upstreams: to, weight: 0 } }),
          place.signal,
        );
        await healthy(maker, ...to);
        await place.router.apply(
          maker.table({ [oldName]: { upstreams: from, weight: 0 }, [newName]: { upstreams: to } }),
          place.signal,
        );
        await place.router.apply(maker.table({ [newName]: { upstreams: to } }), place.signal);
      }
      await Promise.all([kept.stop(), fresh.stop()]);
      expect([...kept.failures, ...fresh.failures]).toEqual([]);
      expect(kept.succeeded + fresh.succeeded).toBeGreaterThan(500);
      for (const each of all) expect(each.served).toBeGreaterThan(0);
    });
  });
}
