/** A router outlives the server, and its own death and upgrade. */

import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask, Load } from './router-client.ts';
import { type RouterSubject, TableMaker, until, Workplace } from './router-subjects.ts';
import { Upstream } from './router-upstream.ts';

export function livesContract(subject: RouterSubject): void {
  describe('lives on', () => {
    let place: Workplace;
    let upstream: Upstream;
    let maker: TableMaker;

    beforeEach(async () => {
      place = await Workplace.start(subject);
      upstream = await Upstream.start('lives');
      maker = new TableMaker('lives');
      await place.router.apply(maker.table({ v1: { upstreams: [upstream] } }), place.signal);
      await until('it serves', async () => (await get()).status === 200);
    });
    afterEach(async () => {
      upstream?.release();
      await place?.remove();
      await upstream?.stop();
    });

    const get = (requestPath = '/') => ask({ port: place.port, host: maker.host, path: requestPath });

    it('when its server ends, and is adopted with all its connections', async () => {
      const before = place.processes();
      const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host: maker.host } });
      await once(socket, 'open');
      const load = new Load(place.port, maker.host, { connections: 4, keepAlive: true });
      await place.reopen();
      expect(place.processes()).toEqual(before);
      expect(await place.router.services(place.signal)).toEqual([maker.service]);
      const seen = await place.router.observe(maker.service, place.signal);
      expect(seen.generation).toEqual(maker.generation());
      expect(seen.endpoints[0]).toMatchObject({ instance: upstream.instance, health: 'up' });
      expect(seen.endpoints[0]?.inFlight).toBeGreaterThanOrEqual(1);
      const echoed = once(socket, 'message');
      socket.send('hello');
      await echoed;
      socket.close();
      await load.stop();
      expect(load.failures).toEqual([]);
    });

    it('when it is killed: it is started again with the same tables', async () => {
      place.killRouter();
      await until('it serves again', async () => (await get().catch(() => undefined))?.status === 200);
      const seen = await place.router.observe(maker.service, place.signal);
      expect(seen.generation).toEqual(maker.generation());
      await expect(
        place.router.apply({ ...maker.table({}), generation: { fence: 0, sequence: 0 } }, place.signal),
      ).rejects.toMatchObject({ code: 'fence.stale' });
    });

    it('when it is killed while no server looks: the next one starts it', async () => {
      await place.router.close();
      place.killRouter();
      await until('it is gone', () => place.processes().length === 0);
      place.router = subject.open(place.stateDirectory, place.port);
      await place.router.start(place.signal);
      await until('it serves again', async () => (await get()).status === 200);
      await place.router.apply(maker.table({ v1: { upstreams: [upstream] } }), place.signal);
    });

    it('until it is asked to stop', async () => {
      await place.router.stop(place.signal);
      await until('nothing of it runs', () => place.processes().length === 0);
      await expect(get()).rejects.toThrow();
      expect((await place.router.status(place.signal)).reachable).toBe(false);
      await expect(place.router.probe(maker.host, '/', place.signal)).rejects.toMatchObject({
        code: 'router.unreachable',
      });
    });

    it('and says how it is', async () => {
      expect(await place.router.status(place.signal)).toMatchObject({
        driver: subject.name,
        reachable: true,
        listen: `127.0.0.1:${place.port}`,
      });
    });

    it('with files that only its user can read', () => {
      for (const entry of readdirSync(place.stateDirectory, { recursive: true, encoding: 'utf8' })) {
        const { mode } = statSync(path.join(place.stateDirectory, entry));
        expect([entry, mode & 0o077]).toEqual([entry, 0]);
      }
    });

    it('and refuses an address that another process has', async () => {
      const other = await import('node:fs/promises').then(({ mkdtemp }) =>
        mkdtemp(`${place.stateDirectory}-other-`),
      );
      const second = subject.open(other, place.port);
      await expect(second.start(place.signal)).rejects.toMatchObject({ code: 'listen.taken' });
      await second.close();
      await import('node:fs/promises').then(({ rm }) => rm(other, { recursive: true, force: true }));
    });
  });
}
