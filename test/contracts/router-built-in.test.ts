/** What only the built-in router does: its own upgrade, its time limits, its looking after itself. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { BuiltInRouter, type BuiltInRouterOptions } from '../../src/routing/built-in/driver.ts';
import { ask, Load, sendRaw } from './router-client.ts';
import { builtIn, TableMaker, until, Workplace } from './router-subjects.ts';
import { Upstream } from './router-upstream.ts';

let place: Workplace;
const upstreams: Upstream[] = [];
const maker = () => new TableMaker('only');

async function serve(options: Partial<BuiltInRouterOptions>, ...names: string[]): Promise<TableMaker> {
  place = await Workplace.start(builtIn(options));
  for (const name of names) upstreams.push(await Upstream.start(name));
  const tables = maker();
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

const detail = async () => (await place.router.status(place.signal)).detail;

describe('an upgrade of the built-in router', () => {
  it('passes its listening socket on and loses nothing', async () => {
    const tables = await serve({ build: '100-old' }, 'a', 'b');
    const { host } = tables;
    const loads = [
      new Load(place.port, host, { connections: 16, keepAlive: true }),
      new Load(place.port, host, { connections: 4, keepAlive: false }),
    ];
    const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host } });
    await once(socket, 'open');
    const longPoll = ask({ port: place.port, host, path: '/hang' });
    await until('it hangs', () => upstreams.some((each) => each.hanging > 0));
    const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await ask({ port: place.port, host, agent: idle });
    const before = await detail();

    for (let build = 101; build <= 103; build++) {
      await place.router.close();
      place.router = builtIn({ build: `${build}-new` }).open(place.stateDirectory, place.port);
      await place.router.start(place.signal);
      expect(await detail()).toContain(`build ${build}-new`);
    }
    expect(await detail()).not.toBe(before);

    // A connection that idled through it brings one more request, to the table of now.
    const third = await Upstream.start('c');
    await place.router.apply(tables.table({ v1: { upstreams }, v2: { upstreams: [third] } }), place.signal);
    await until('c serves', async () => (await ask({ port: place.port, host })).text === 'c');
    upstreams.push(third);
    await place.router.apply(tables.table({ v2: { upstreams: [third] } }), place.signal);
    await until('c serves', async () => (await ask({ port: place.port, host })).text === 'c');
    expect((await ask({ port: place.port, host, agent: idle })).text).toBe('c');
    idle.destroy();

    // What is in flight in the old one is still counted, and still there.
    const inFlight = async () => {
      const { endpoints } = await place.router.observe(tables.service, place.signal);
      return endpoints.filter((each) => each.instance !== 'c').reduce((sum, each) => sum + each.inFlight, 0);
    };
    await until('only the long ones are left', async () => (await inFlight()) === 2);
    const echoed = once(socket, 'message');
    socket.send('still there?');
    await echoed;
    for (const upstream of upstreams) upstream.release();
    expect((await longPoll).text).toContain('at last');
    socket.close();
    await until('all is let go', async () => (await inFlight()) === 0);
    for (const load of loads) {
      await load.stop();
      expect(load.failures).toEqual([]);
      expect(load.succeeded).toBeGreaterThan(100);
    }
    await until('the old ones have left', () => place.processes().length === 1);
  });

  it('leaves a newer router alone', async () => {
    await serve({ build: '200-newer' }, 'a');
    await place.router.close();
    place.router = builtIn({ build: '150-older' }).open(place.stateDirectory, place.port);
    await place.router.start(place.signal);
    expect(await detail()).toContain('build 200-newer');
  });

  it('that fails changes nothing', async () => {
    const tables = await serve({ build: '100-old' }, 'a');
    const load = new Load(place.port, tables.host, { connections: 4, keepAlive: true });
    await place.router.close();
    const broken = builtIn({ build: '101-broken', entry: path.join(place.stateDirectory, 'nothing.js') });
    const driver = broken.open(place.stateDirectory, place.port);
    place.router = driver;
    await driver.start(place.signal);
    if (!(driver instanceof BuiltInRouter)) throw new Error('the driver is the built-in one');
    await expect(driver.upgrade(place.signal)).rejects.toMatchObject({ code: 'router.rejected' });
    expect(await detail()).toContain('build 100-old');
    await place.router.apply(tables.table({ v1: { upstreams } }), place.signal);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(place.processes()).toHaveLength(1);
  });
});

describe('the built-in router', () => {
  it('starts again a router that hangs', async () => {
    const tables = await serve({ pingMs: 100 }, 'a');
    const [pid] = place.processes();
    if (pid === undefined) throw new Error('a router runs');
    process.kill(pid, 'SIGSTOP');
    await until('another one runs', () => place.processes().some((each) => each !== pid));
    await until('it serves', async () => {
      const answer = await ask({ port: place.port, host: tables.host }).catch(() => undefined);
      return answer?.status === 200;
    });
    expect(place.processes()).toHaveLength(1);
  });

  it('answers 504 for an instance that stays silent', async () => {
    const tables = await serve({ limits: { instanceSilenceMs: 300 } }, 'a');
    const answer = await ask({
      port: place.port,
      host: tables.host,
      path: '/hang',
      headers: { accept: 'application/json' },
    });
    expect(answer.status).toBe(504);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'router.instance-silent' });
  });

  it('answers 408 to a client that does not get on', async () => {
    const tables = await serve(
      { limits: { requestHeadMs: 300, requestBodySilenceMs: 300, lingerMs: 200 } },
      'a',
    );
    expect(await sendRaw(place.port, 'GET / HTTP/1.1\r\nHos')).toMatch(/^HTTP\/1\.1 408 /);
    const halfBody = `POST /upload HTTP/1.1\r\nHost: ${tables.host}\r\nContent-Length: 10\r\n\r\nhalf`;
    expect(await sendRaw(place.port, halfBody)).toMatch(/^HTTP\/1\.1 408 /);
    const idle = net.connect(place.port, '127.0.0.1');
    idle.resume();
    await once(idle, 'close');
  });

  it('keeps an answer that comes before the request’s body is whole', async () => {
    const tables = await serve({}, 'a');
    const early = http.createServer((request, response) => {
      if (request.url === '/health') response.end();
      else response.writeHead(413, { 'content-length': 7 }).end('too big');
    });
    early.listen(0, '127.0.0.1');
    await once(early, 'listening');
    const { port } = early.address() as net.AddressInfo;
    const table = tables.table({ v1: { upstreams } });
    const [pool] = table.pools;
    const [group] = pool?.groups ?? [];
    const [endpoint] = group?.endpoints ?? [];
    if (!pool || !group || !endpoint) throw new Error('the table has an endpoint');
    const swapped = { ...endpoint, endpoint: { host: '127.0.0.1', port } };
    await place.router.apply(
      { ...table, pools: [{ ...pool, groups: [{ ...group, endpoints: [swapped] }] }] },
      place.signal,
    );
    const post = () =>
      sendRaw(place.port, `POST / HTTP/1.1\r\nHost: ${tables.host}\r\nContent-Length: 1000000\r\n\r\nsome`);
    await until('it answers', async () => (await post()).includes('413'));
    expect(await post()).toContain('too big');
    early.closeAllConnections();
    early.close();
  });

  it('never reuses a connection that its instance may be closing', async () => {
    const tables = await serve({}, 'a');
    const impatient = http.createServer((_request, response) => response.end('impatient'));
    impatient.keepAliveTimeout = 1;
    impatient.listen(0, '127.0.0.1');
    await once(impatient, 'listening');
    const { port } = impatient.address() as net.AddressInfo;
    const table = tables.table({ v1: { upstreams } });
    const text = JSON.stringify(table).replaceAll(`"port":${upstreams[0]?.endpoint.port}`, `"port":${port}`);
    await place.router.apply(JSON.parse(text), place.signal);
    await until(
      'it serves',
      async () => (await ask({ port: place.port, host: tables.host })).text === 'impatient',
    );
    const load = new Load(place.port, tables.host, { connections: 8, keepAlive: true });
    await until('there were many', () => load.succeeded > 1_000 || load.failures.length > 0);
    await load.stop();
    expect(load.failures).toEqual([]);
    impatient.close();
  });

  it('names saved tables that it cannot read, and serves the others', async () => {
    const tables = await serve({}, 'a');
    await place.router.close();
    place.killRouter();
    const { writeFileSync } = await import('node:fs');
    writeFileSync(path.join(place.stateDirectory, 'tables', 'broken%40test%2Flocal.json'), '{"format":1', {
      mode: 0o600,
    });
    place.router = place.subject.open(place.stateDirectory, place.port);
    await place.router.start(place.signal);
    expect((await ask({ port: place.port, host: tables.host })).status).toBe(200);
    expect(await detail()).toContain('broken%40test%2Flocal.json.damaged');
  });

  it('writes what it does to an append-only file', async () => {
    await serve({}, 'a');
    const lines = readFileSync(path.join(place.stateDirectory, 'router.log'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).event)).toContain('serving');
  });
});
