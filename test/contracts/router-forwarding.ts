/** How any router must forward requests. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { ProcessName } from '../../src/domain/ids.ts';
import { ask, sendRaw } from './router-client.ts';
import { type RouterSubject, TableMaker, until, Workplace } from './router-subjects.ts';
import { patternBytes, Upstream } from './router-upstream.ts';

export function forwardingContract(subject: RouterSubject): void {
  describe('forwards', () => {
    let place: Workplace;
    let a: Upstream;
    let b: Upstream;
    const maker = new TableMaker('forward');
    const { host } = maker;

    beforeAll(async () => {
      place = await Workplace.start(subject);
      a = await Upstream.start('forward-a');
      b = await Upstream.start('forward-b');
      await place.router.apply(maker.table({ v1: { upstreams: [a, b] } }), place.signal);
      await until('both are healthy', async () => {
        const { endpoints } = await place.router.observe(maker.service, place.signal);
        return endpoints.length === 2 && endpoints.every((each) => each.health === 'up');
      });
    });
    afterAll(async () => {
      await place?.remove();
      await a?.stop();
      await b?.stop();
    });

    const get = (path: string, headers: http.OutgoingHttpHeaders = {}) =>
      ask({ port: place.port, host, path, headers });

    it('requests to the instances in turn', async () => {
      const names = new Set<string>();
      for (let round = 0; round < 10; round++) names.add((await get('/')).text);
      expect([...names].sort()).toEqual(['forward-a', 'forward-b']);
    });

    it('nothing of an unknown host, and says why', async () => {
      const page = await ask({
        port: place.port,
        host: 'nobody.test.localhost',
        headers: { accept: 'application/json' },
      });
      expect(page.status).toBe(404);
      expect(JSON.parse(page.text)).toMatchObject({ code: 'router.no-route' });
      const html = await ask({
        port: place.port,
        host: 'nobody.test.localhost',
        headers: { accept: 'text/html' },
      });
      expect(html.headers['content-type']).toContain('text/html');
      expect(html.text).toContain('router.no-route');
    });

    it('whatever the case, port or final dot of the host', async () => {
      for (const name of [host.toUpperCase(), `${host}:${place.port}`, `${host}.`]) {
        expect((await ask({ port: place.port, host: name })).status).toBe(200);
      }
    });

    it('by the longest path prefix at a slash', async () => {
      const paths = new TableMaker('paths');
      const [root, api] = ['web' as ProcessName, 'api' as ProcessName];
      const table = paths.table({ v1: { upstreams: [a] } });
      const [pool] = table.pools;
      if (pool === undefined) throw new Error('a table has a pool');
      const endpoint = { instance: b.instance, endpoint: b.endpoint, draining: false };
      const group = 'paths-api-v1' as (typeof pool.groups)[number]['group'];
      await place.router.apply(
        {
          ...table,
          routes: [
            { host: paths.host, path: '/', process: root },
            { host: paths.host, path: '/api', process: api },
          ],
          pools: [pool, { ...pool, process: api, groups: [{ group, weight: 1, endpoints: [endpoint] }] }],
        },
        place.signal,
      );
      const answered = async (path: string) => (await ask({ port: place.port, host: paths.host, path })).text;
      await until(
        'both pools serve',
        async () => (await answered('/')) === a.instance && (await answered('/api')) === b.instance,
      );
      expect(await answered('/api/deeper?x=1')).toBe(b.instance);
      expect(await answered('/api?x=1')).toBe(b.instance);
      expect(await answered('/apix')).toBe(a.instance);
      expect(await answered('/other/api')).toBe(a.instance);
    });

    it('who asked and how, and keeps its own hop to itself', async () => {
      const answer = await get('/headers', {
        'x-forwarded-for': '203.0.113.9',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': '1',
        forwarded: 'for=203.0.113.9',
        'x-kiln-probe': 'guess',
        connection: 'keep-alive, x-secret-hop',
        'x-secret-hop': 'mine',
        'x-other': 'kept',
      });
      const seen = JSON.parse(answer.text);
      expect(seen['x-forwarded-for']).toBe('203.0.113.9, 127.0.0.1');
      expect(seen['x-forwarded-host']).toBe(host);
      expect(seen['x-forwarded-proto']).toBe('http');
      expect(seen['x-forwarded-port']).toBe(String(place.port));
      expect(seen.host).toBe(host);
      expect(seen['x-other']).toBe('kept');
      for (const name of ['forwarded', 'x-kiln-probe', 'x-secret-hop']) expect(seen).not.toHaveProperty(name);
    });

    it('large bodies whole, with a length and in chunks', async () => {
      const body = randomBytes(3_000_000);
      const sha256 = createHash('sha256').update(body).digest('hex');
      const pieces = Array.from({ length: 31 }, (_, index) =>
        body.subarray(index * 100_000, (index + 1) * 100_000),
      );
      const asked = { port: place.port, host, path: '/upload', method: 'POST' };
      const withLength = await ask({ ...asked, body, headers: { 'content-length': body.length } });
      expect(JSON.parse(withLength.text)).toMatchObject({ sha256, sizeBytes: body.length });
      const chunked = await ask({ ...asked, body: pieces, headers: { 'transfer-encoding': 'chunked' } });
      expect(JSON.parse(chunked.text)).toMatchObject({ sha256, sizeBytes: body.length });

      for (const suffix of ['', '&length']) {
        const answer = await get(`/download?bytes=2000000${suffix}`);
        expect(answer.body.equals(patternBytes(2_000_000))).toBe(true);
      }
    });

    it('at the pace of the slowest', async () => {
      const socket = net.connect(place.port, '127.0.0.1');
      socket.write(
        `GET /download?bytes=20000000&length HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      );
      let sizeBytes = 0;
      for await (const piece of socket) {
        sizeBytes += (piece as Buffer).length;
        if (sizeBytes < 5_000_000) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(sizeBytes).toBeGreaterThan(20_000_000);
    });

    it('answers without a body, and the next request on the same connection', async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const on = { port: place.port, host, agent };
      const head = await ask({ ...on, method: 'HEAD', path: '/download?bytes=5000&length' });
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '5000', 0]);
      for (const code of [204, 304]) {
        const answer = await ask({ ...on, path: `/status?code=${code}` });
        expect([answer.status, answer.body.length]).toEqual([code, 0]);
      }
      expect((await ask(on)).status).toBe(200);
      agent.destroy();
    });

    it('trailers of answers', async () => {
      const answer = await get('/download?bytes=70000');
      expect(answer.trailers['x-checked']).toBe('yes');
    });

    it('100 Continue before the body', async () => {
      const sent = await sendRaw(
        place.port,
        `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`,
      );
      expect(sent).toMatch(/^HTTP\/1\.1 100 /);
    });

    it('to HTTP/1.0 clients, in their way', async () => {
      const answer = await sendRaw(place.port, `GET /download?bytes=300 HTTP/1.0\r\nHost: ${host}\r\n\r\n`);
      const [head, body] = answer.split('\r\n\r\n');
      expect(head).toContain('200 OK');
      expect(head?.toLowerCase()).not.toContain('transfer-encoding');
      expect(Buffer.from(body ?? '', 'latin1').equals(patternBytes(300))).toBe(true);
    });

    it('pipelined requests in order', async () => {
      const line = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
      const answers = await sendRaw(
        place.port,
        line('/status?code=201') + line('/status?code=202') + line('/status?code=203'),
      );
      expect([...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])).toEqual([
        '201',
        '202',
        '203',
      ]);
    });

    it('WebSockets', async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${place.port}/`, { headers: { host } });
      await once(socket, 'open');
      const said = once(socket, 'message');
      socket.send('hello');
      expect(String((await said)[0])).toMatch(/^forward-[ab]: hello$/);
      socket.close();
      await once(socket, 'close');
    });

    it('a cut answer as cut, never as whole', async () => {
      await expect(get('/half')).rejects.toThrow();
    });

    it('what an instance says of itself, never as its own word', async () => {
      const answer = await get('/impostor');
      expect(answer.headers['x-kiln-instance']).toBeUndefined();
      const guessed = await get('/', { 'x-kiln-probe': 'a'.repeat(64) });
      expect(guessed.headers['x-kiln-instance']).toBeUndefined();
    });

    it('a probe, and says who answered', async () => {
      const answers = new Set<string | undefined>();
      for (let round = 0; round < 6; round++) {
        const answer = await place.router.probe(host, '/', place.signal);
        expect(answer.status).toBe(200);
        answers.add(answer.instance);
      }
      expect([...answers].sort()).toEqual(['forward-a', 'forward-b']);
      expect(await place.router.probe('nobody.test.localhost', '/', place.signal)).toEqual({ status: 404 });
    });

    it('a request that was cut off once only, when it may have changed something', async () => {
      const before = a.served + b.served;
      const answer = await ask({
        port: place.port,
        host,
        path: '/reset',
        method: 'POST',
        body: Buffer.from('once'),
        headers: { 'content-length': 4 },
      });
      expect(answer.status).toBe(502);
      expect(a.served + b.served - before).toBe(1);
      expect(answer.text).not.toContain('    at ');
    });

    describe('nothing that two parsers could read in two ways', () => {
      const smuggled = `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
      const cases: Record<string, string> = {
        'a length and chunks': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
        'two different lengths': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n${smuggled}`,
        'a signed length': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: +0\r\n\r\n${smuggled}`,
        'another transfer coding': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: xchunked\r\n\r\n${smuggled}`,
        'space before a colon': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length : 0\r\n\r\n${smuggled}`,
        'a chunk size that is none': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n${smuggled}`,
        'a chunk longer than its size': `POST /upload HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n${smuggled}`,
        'two hosts': `GET / HTTP/1.1\r\nHost: ${host}\r\nHost: other.example\r\n\r\n`,
        'a zero byte': `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Bad: a\0b\r\n\r\n`,
        'a space in the target': `GET /a b HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      };
      it.each(Object.entries(cases))('%s', async (_name, text) => {
        const answer = await sendRaw(place.port, text);
        expect(answer).not.toMatch(/^HTTP\/1\.[01] 2/);
        expect([...a.seen, ...b.seen].join('\n')).not.toContain('/smuggled');
      });
    });

    it('no tunnel for CONNECT', async () => {
      const answer = await sendRaw(place.port, `CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 (?:4\d\d|501) /);
    });

    it('no head without end', async () => {
      const endless = `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`;
      expect(await sendRaw(place.port, endless)).not.toMatch(/^HTTP\/1\.1 2/);
    });
  });
}
