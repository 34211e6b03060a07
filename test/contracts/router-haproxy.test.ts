/** What only the HAProxy driver does: it writes its configuration once, and reloads when backends run out. */
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { SPARE_SLOTS } from '../../src/routing/haproxy/slots.ts';
import { ask, Load } from './router-client.ts';
import { SUBJECTS, TableMaker, until, Workplace } from './router-subjects.ts';
import { Upstream } from './router-upstream.ts';

const subject = SUBJECTS.find((each) => each.name === 'haproxy');
if (subject === undefined) throw new Error('there is a HAProxy driver');
const isSkipped = subject.missing !== undefined && process.env.CI !== 'true';

let place: Workplace;
const upstreams: Upstream[] = [];

async function start(...names: string[]): Promise<TableMaker> {
  if (subject === undefined) throw new Error('there is a HAProxy driver');
  place = await Workplace.start(subject);
  for (const name of names) upstreams.push(await Upstream.start(name));
  const tables = new TableMaker('first');
  await place.router.apply(tables.table({ v1: { upstreams } }), place.signal);
  await until('it serves', async () => (await ask({ port: place.port, host: tables.host })).status === 200);
  return tables;
}

afterEach(async () => {
  for (const upstream of upstreams.splice(0)) {
    upstream.release();
    await upstream.stop();
  }
  await place?.remove();
});

describe.skipIf(isSkipped)(`HAProxy ${isSkipped ? subject.missing : ''}`, () => {
  const configuration = () => path.join(place.stateDirectory, 'haproxy.cfg');
  const detail = async () => (await place.router.status(place.signal)).detail;
  const workerPid = async () => /worker (\d+)/.exec(await detail())?.[1];

  it('takes tables without its configuration being written again or reloaded', async () => {
    const tables = await start('a', 'b');
    const [written, worker] = [statSync(configuration()).mtimeMs, await workerPid()];
    for (let round = 0; round < 20; round++) {
      const service = new TableMaker(`service-${round}`);
      await place.router.apply(
        service.table(
          { v1: { upstreams } },
          { health: { path: `/health?${round}`, intervalMs: 200, timeoutMs: 1_000, startupMs: 1 } },
        ),
        place.signal,
      );
      await until(
        'it serves',
        async () => (await ask({ port: place.port, host: service.host })).status === 200,
      );
    }
    await place.router.apply(tables.table({ v1: { upstreams: upstreams.slice(0, 1) } }), place.signal);
    expect(statSync(configuration()).mtimeMs).toBe(written);
    expect(await workerPid()).toBe(worker);
  });

  it('reloads when backends run out: servers stay healthy, connections go on, nothing fails', async () => {
    const tables = await start('a', 'b');
    const { host } = tables;
    const worker = await workerPid();
    const loads = [
      new Load(place.port, host, { connections: 16, keepAlive: true }),
      new Load(place.port, host, { connections: 2, keepAlive: false }),
    ];
    const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host } });
    await once(socket, 'open');
    const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await ask({ port: place.port, host, agent: idle });
    for (let round = 0; round < SPARE_SLOTS + 1; round++) {
      await place.router.apply(
        new TableMaker(`more-${round}`).table({ v1: { upstreams: [] } }),
        place.signal,
      );
    }
    expect(await workerPid()).not.toBe(worker);
    expect(await detail()).toContain('old worker');
    expect(readFileSync(configuration(), 'utf8')).toContain('  server a:');

    // The old worker's connection is counted until it ends, and a drain reaches it.
    const inFlight = async () => {
      const { endpoints } = await place.router.observe(tables.service, place.signal);
      return endpoints.filter((each) => each.instance !== 'c').reduce((sum, each) => sum + each.inFlight, 0);
    };
    const third = await Upstream.start('c');
    await place.router.apply(tables.table({ v1: { upstreams }, v2: { upstreams: [third] } }), place.signal);
    await until('c serves', async () => (await ask({ port: place.port, host })).text === 'c');
    await place.router.apply(tables.table({ v2: { upstreams: [third] } }), place.signal);
    await until('c serves', async () => (await ask({ port: place.port, host })).text === 'c');
    // A connection that idled through it brings its next request to the table of now, as its client sent it.
    const late = await ask({ port: place.port, host, agent: idle, path: '/headers' });
    expect(third.seen).toContain('GET /headers');
    expect(JSON.parse(late.text)).toMatchObject({
      host,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
    idle.destroy();
    for (const load of loads) {
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.succeeded).toBeGreaterThan(100);
    }
    await until('only the socket is left', async () => (await inFlight()) === 1);
    const echoed = once(socket, 'message');
    socket.send('still there?');
    await echoed;
    socket.close();
    await until('it is let go', async () => (await inFlight()) === 0);
    upstreams.push(third);
    // Servers of the configuration cannot be deleted; they come back all the same.
    await place.router.apply(tables.table({ v1: { upstreams: upstreams.slice(0, 2) } }), place.signal);
    await until('a serves again', async () => (await ask({ port: place.port, host })).text === 'a');
  });

  it('cuts what an old worker has in flight when the drain time is over', async () => {
    const tables = await start('a', 'b');
    const [a, b] = upstreams;
    if (a === undefined || b === undefined) throw new Error('two were started');
    const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host: tables.host } });
    await once(socket, 'open');
    const closed = once(socket, 'close');
    for (let round = 0; round < SPARE_SLOTS + 1; round++) {
      await place.router.apply(
        new TableMaker(`more-${round}`).table({ v1: { upstreams: [] } }),
        place.signal,
      );
    }
    expect(await detail()).toContain('old worker');
    const draining = { v1: { upstreams: [a, b], draining: [a, b] } };
    await place.router.apply(tables.table(draining, { drainMs: 200 }), place.signal);
    await closed;
    await until('it is let go', async () => {
      const { endpoints } = await place.router.observe(tables.service, place.signal);
      return endpoints.every((each) => each.inFlight === 0);
    });
  });

  it('gives a withdrawn service’s backend to the next', async () => {
    const tables = await start('a');
    const worker = await workerPid();
    for (let round = 0; round < SPARE_SLOTS * 2; round++) {
      const service = new TableMaker(`passing-${round}`);
      await place.router.apply(service.table({ v1: { upstreams: [] } }), place.signal);
      await place.router.withdraw(service.service, service.next(), place.signal);
    }
    expect(await workerPid()).toBe(worker);
    expect((await ask({ port: place.port, host: tables.host })).status).toBe(200);
  });
});
