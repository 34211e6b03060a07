/** Routers and instances are killed at any moment, under load: nothing fails but what was in flight on the dead. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { ask, Load } from '../contracts/router-client.ts';
import { SUBJECTS, TableMaker, until, Workplace } from '../contracts/router-subjects.ts';
import { Upstream } from '../contracts/router-upstream.ts';

const CONNECTIONS = 8;
const KILLS = 8;

for (const subject of SUBJECTS) {
  const isSkipped = subject.missing !== undefined && process.env.CI !== 'true';
  describe.skipIf(isSkipped)(`the ${subject.name} router ${isSkipped ? subject.missing : ''}`, () => {
    let place: Workplace;
    const upstreams: Upstream[] = [];

    afterEach(async () => {
      await place?.remove();
      for (const upstream of upstreams.splice(0)) await upstream.stop();
    });

    async function serve(...names: string[]): Promise<TableMaker> {
      place = await Workplace.start(subject);
      for (const name of names) upstreams.push(await Upstream.start(name));
      const tables = new TableMaker('faults');
      await place.router.apply(tables.table({ v1: { upstreams } }), place.signal);
      await until('all are up', async () => {
        const { endpoints } = await place.router.observe(tables.service, place.signal);
        return endpoints.length === names.length && endpoints.every((each) => each.health === 'up');
      });
      return tables;
    }

    it('is back after every kill with what was acknowledged, and refuses nothing once it listens', async () => {
      const tables = await serve('a', 'b');
      for (let kill = 0; kill < KILLS; kill++) {
        const load = new Load(place.port, tables.host, { connections: CONNECTIONS, keepAlive: true });
        await sleep(Math.random() * 60);
        // Killed while a table is being applied: afterwards it is in force or can be applied again.
        const table = tables.table({ [`v${kill + 2}`]: { upstreams } });
        const applying = place.router.apply(table, place.signal);
        await sleep(Math.random() * 10);
        const killedAtMs = Date.now();
        place.killRouter();
        await applying;
        const seen = await place.router.observe(tables.service, place.signal);
        expect(seen.generation).toEqual(table.generation);
        const before = load.succeeded;
        await until('it answers a new connection', async () => {
          const answer = await ask({ port: place.port, host: tables.host }).catch(() => undefined);
          return answer?.status === 200;
        });
        const backAtMs = Date.now();
        await until('it serves', () => load.succeeded > before + 20);
        await load.stop();
        // Cut or refused while there was none, and nothing else: no answer is wrong, nothing fails before or after.
        const wrong = load.failed.filter(
          ({ why, startedAtMs, endedAtMs }) =>
            !/ECONNRESET|ECONNREFUSED|EPIPE|socket hang up/.test(why) ||
            endedAtMs < killedAtMs ||
            startedAtMs > backAtMs,
        );
        expect(wrong, `killed at ${killedAtMs}, back at ${backAtMs}`).toEqual([]);
        const inFlight = load.failed.filter(({ startedAtMs }) => startedAtMs < killedAtMs);
        expect(inFlight.length).toBeLessThanOrEqual(CONNECTIONS);
      }
      expect((await place.router.services(place.signal)).length).toBe(1);
    });

    it('passes over an instance that is killed', async () => {
      const tables = await serve('a', 'b', 'c');
      const load = new Load(place.port, tables.host, { connections: CONNECTIONS, keepAlive: true });
      let [victim] = upstreams;
      for (let kill = 0; kill < KILLS && victim !== undefined; kill++) {
        const { port } = victim.endpoint;
        await victim.stop();
        const served = load.succeeded;
        await until('the others serve', () => load.succeeded > served + 50);
        const back = await Upstream.start('a', port);
        upstreams[0] = back;
        victim = back;
        await until('it is back', () => back.served > 0);
      }
      await load.stop();
      // At most what was under way on the killed one, each time.
      expect(load.failures.length).toBeLessThanOrEqual(KILLS * CONNECTIONS);
      expect(
        load.failures.filter((failure) => !/status 502|ECONNRESET|socket hang up/.test(failure)),
      ).toEqual([]);
      expect(load.succeeded).toBeGreaterThan(KILLS * 50);
    });
  });
}
