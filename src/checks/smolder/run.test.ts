import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Clock } from '../../domain/ports/clock.ts';
import { parseCheckFile } from './parse.ts';
import { reportJson } from './report-json.ts';
import { reportJunit } from './report-junit.ts';
import { reportText } from './report-text.ts';
import { type CheckRun, type RunOptions, runChecks } from './run.ts';

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    await delay(Math.min(ms, 20), undefined, { signal });
  },
};
const servers: { close(): unknown; closeAllConnections?(): void }[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.();
    server.close();
  }
});

async function listen(server: net.Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  servers.push(server);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function closedPort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function run(tests: unknown, port: number, more: Partial<RunOptions> = {}): Promise<CheckRun> {
  return runChecks({
    tests: parseCheckFile(JSON.stringify({ tests }), 'f.json'),
    address: { kind: 'host', host: '127.0.0.1', port },
    clock,
    signal: AbortSignal.timeout(30_000),
    ...more,
  });
}

const lines = (result: CheckRun) =>
  result.tests.flatMap((test) =>
    test.outcomes.map(({ name, message, status }) => `${status} ${name}: ${message}`),
  );

describe('a run', () => {
  it('sends what the file says', async () => {
    const port = await listen(
      http.createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          response.setHeader('content-type', 'application/json');
          response.end(
            JSON.stringify({ method: request.method, url: request.url, ...request.headers, body }),
          );
        });
      }),
    );
    const result = await run(
      [
        {
          name: 'echo',
          uri: '/a?b=1',
          method: 'purge',
          inputs: { headers: { Host: 'other.example' }, params: { c: 2 }, auth: ['u', 'p'], json: { x: 1 } },
          outcomes: {
            response_json_contains: {
              method: 'PURGE',
              url: '/a?b=1&c=2',
              host: 'other.example',
              authorization: 'Basic dTpw',
              'content-length': '7',
              body: '{"x":1}',
            },
          },
        },
        { name: 'plain', uri: '/', outcomes: { response_json_contains: { host: `127.0.0.1:${port}` } } },
      ],
      port,
    );
    expect(result).toMatchObject({ failedCount: 0, passedCount: 9 });
  });

  it('goes on after a refused connection, an unknown name and a closed connection', async () => {
    const port = await listen(http.createServer((_, response) => response.end('ok')));
    const rude = await listen(net.createServer((socket) => socket.destroy()));
    const closed = await closedPort();
    const result = await run(
      [
        { name: 'refused', port: closed },
        { name: 'rude', port: rude },
        { name: 'good', port },
      ],
      port,
    );
    expect(result).toMatchObject({ failedCount: 2, passedCount: 1 });
    expect(lines(result)[0]).toBe(`fail connection: http://127.0.0.1:${closed} refused the connection`);
    const unknown = await run([{ name: 'unknown' }], port, {
      address: { kind: 'host', host: 'no-such-host.invalid' },
    });
    expect(lines(unknown)[0]).toMatch(/^fail connection: .*no-such-host\.invalid/);
  });

  it('ends each test at its own deadline, slow bodies too', async () => {
    const port = await listen(
      http.createServer((request, response) => {
        if (request.url === '/slow-body') response.write('begun');
      }),
    );
    const result = await run(
      ['/', '/slow-body'].map((uri) => ({ name: uri, uri, inputs: { timeout: 0.2 } })),
      port,
    );
    expect(lines(result)).toEqual(
      Array(2).fill(`fail timeout: No whole answer from http://127.0.0.1:${port} within 200ms`),
    );
  });

  it('stops at the caller’s word, with `aborted`', async () => {
    const controller = new AbortController();
    const port = await listen(http.createServer(() => controller.abort()));
    const running = run([{ name: 'a' }, { name: 'b' }], port, { signal: controller.signal });
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('reads a body in %s', async (encoding, compress) => {
    const port = await listen(
      http.createServer((_, response) => {
        response.setHeader('content-encoding', encoding);
        response.end(compress('hello there'));
      }),
    );
    const result = await run([{ name: 'a', outcomes: { response_body_contains: 'hello there' } }], port);
    expect(result.failedCount).toBe(0);
  });

  it('never holds more of a body than its limit, compressed or not', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
    const port = await listen(
      http.createServer((request, response) => {
        if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip');
        response.end(request.url === '/gzip' ? bomb : Buffer.alloc(2_000_000));
      }),
    );
    const tests = ['/gzip', '/plain'].map((uri) => ({ name: uri, uri }));
    const result = await run(tests, port, { maxBodyBytes: 1_000_000 });
    expect(lines(result)).toEqual(Array(2).fill('fail response: The body is larger than 1000000 bytes'));
  });

  it('reads a damaged body as a failed test', async () => {
    const port = await listen(
      http.createServer((_, response) => {
        response.setHeader('content-encoding', 'gzip');
        response.end('this is not gzip');
      }),
    );
    expect((await run([{ name: 'a' }], port)).failedCount).toBe(1);
  });

  it('follows redirects only when asked, and keeps credentials at home', async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await listen(
      http.createServer((request, response) => {
        seen.push(request.headers.authorization, request.headers.cookie);
        response.end('elsewhere');
      }),
    );
    const port = await listen(
      http.createServer((request, response) => {
        const to: Record<string, string> = {
          '/': '/login',
          '/login': '/home',
          '/out': `http://127.0.0.1:${elsewhere}/`,
          '/loop': '/loop',
        };
        const location = to[request.url ?? ''];
        if (request.url === '/home') return response.end(`${request.method} ${request.headers.cookie}`);
        response.writeHead(302, { location: location ?? '', 'set-cookie': 'sid=1; Path=/' }).end();
        return undefined;
      }),
    );
    const inputs = { allow_redirects: true, auth: ['u', 'p'], cookies: { c: 1 } };
    const result = await run(
      [
        { name: 'not', uri: '/', outcomes: { expect_status_code: 302, response_redirect: '/login' } },
        {
          name: 'home',
          uri: '/',
          method: 'post',
          inputs,
          outcomes: { response_body_contains: 'GET c=1; sid=1' },
        },
        { name: 'out', uri: '/out', inputs, outcomes: { response_body_contains: 'elsewhere' } },
        { name: 'loop', uri: '/loop', inputs },
      ],
      port,
    );
    expect(lines(result).filter((line) => line.startsWith('fail'))).toEqual([
      'fail response: More than 30 redirects',
    ]);
    expect(seen).toEqual([undefined, undefined]);
  });

  it('tries a failed test again as often as asked', async () => {
    let asked = 0;
    const port = await listen(
      http.createServer((_, response) => {
        asked += 1;
        response.writeHead(asked < 3 ? 500 : 200).end();
      }),
    );
    expect((await run([{ name: 'a' }], port, { retries: 1 })).failedCount).toBe(1);
    asked = 0;
    const result = await run([{ name: 'a' }], port, { retries: 2 });
    expect(result).toMatchObject({ failedCount: 0, tests: [{ tries: 3 }] });
  });

  it('waits for a service that is still starting, but not for one that is wrong', async () => {
    const port = await closedPort();
    let asked = 0;
    const late = http.createServer((_, response) => {
      asked += 1;
      response.writeHead(asked < 3 ? 503 : 200).end();
    });
    const running = run([{ name: 'a' }], port, { waitMs: 20_000 });
    await delay(100);
    await listen(late, port);
    const result = await running;
    expect(result.failedCount).toBe(0);
    expect(result.tests[0]?.tries).toBeGreaterThan(3);
    const wrong = await listen(http.createServer((_, response) => response.writeHead(404).end()));
    expect(await run([{ name: 'b' }], wrong, { waitMs: 20_000 })).toMatchObject({ tests: [{ tries: 1 }] });
  });

  it('runs as many at a time as asked, and reports in the order of the file', async () => {
    let under = 0;
    let most = 0;
    const port = await listen(
      http.createServer(async (request, response) => {
        under += 1;
        most = Math.max(most, under);
        await delay(request.url === '/0' ? 150 : 30);
        under -= 1;
        response.end();
      }),
    );
    const tests = Array.from({ length: 8 }, (_, index) => ({ name: `t${index}`, uri: `/${index}` }));
    const order: string[] = [];
    await run(tests, port, { concurrency: 4, onResult: (result) => order.push(result.name) });
    expect(order).toEqual(tests.map((test) => test.name));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('tests a port before a request where told', async () => {
    const port = await listen(http.createServer((_, response) => response.end()));
    const closed = await closedPort();
    const result = await run(
      [
        { name: 'open', tcp_test: true, port },
        { name: 'closed', tcp_test: true, port: closed },
        { name: 'tcp', protocol: 'tcp', port },
      ],
      port,
      { tcpAttempts: 3 },
    );
    expect(result.tests.map((test) => test.tcpAttempts.map((attempt) => attempt.passed))).toEqual([
      [true],
      [false, false, false],
      [true],
    ]);
    expect(result).toMatchObject({ passedCount: 2, failedCount: 1 });
  });
});

describe('TLS', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kiln-checks-'));
    const name = ['-subj', '/CN=kiln-test', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const keys = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...keys, ...name], { cwd: folder, stdio: 'ignore' });
    return () => rmSync(folder, { recursive: true });
  });

  it('verifies certificates unless told not to, and by the file that `verify` names', async () => {
    const pem = (file: string) => readFileSync(path.join(folder, file), 'utf8');
    const server = https.createServer({ key: pem('key.pem'), cert: pem('cert.pem') }, (_, response) =>
      response.end(),
    );
    const port = await listen(server);
    const authority = path.join(folder, 'cert.pem');
    const readAuthorities = async (file: string) => readFileSync(file, 'utf8');
    const tests = [undefined, 'False', 'True', authority].map((verify) => ({
      name: String(verify),
      protocol: 'https',
      inputs: { headers: { Host: 'other.example' }, ...(verify === undefined ? {} : { verify }) },
    }));
    const result = await run(tests, port, { readAuthorities });
    expect(lines(result)).toEqual([
      expect.stringMatching(
        /^fail SSLVerify: Certificate verify failed and not ignored by inputs\['verify'\]/,
      ),
      'pass expect_status_code: Status code == 200',
      expect.stringMatching(/^fail SSLVerify/),
      'pass expect_status_code: Status code == 200',
    ]);
    expect(lines(await run(tests.slice(3), port))[0]).toMatch(/no files are read for this check/);
  });
});

describe('secrets', () => {
  it('are in no report, even where the service echoes them', async () => {
    const secret = 'hunter2 "<&>';
    const port = await listen(
      http.createServer((request, response) => {
        let body = '';
        request.on('data', (chunk) => {
          body += chunk;
        });
        request.on('end', () => {
          response.setHeader('x-echo', request.headers.authorization ?? 'none');
          response.end(
            JSON.stringify({ ...request.headers, url: request.url, sent: body, pad: 'x'.repeat(300) }),
          );
        });
      }),
    );
    const outcomes = {
      show_body: true,
      response_body_contains: 'zzz',
      response_json_contains: { url: 'q', sent: 'q' },
      response_header_values: { 'x-echo': 'q' },
    };
    const inputs = [
      { auth: ['user', secret] },
      { headers: { Authorization: `Bearer ${secret}` } },
      { cookies: { sid: secret.replaceAll('"', '') } },
      { params: { token: secret } },
      { data: { password: secret } },
      { json: { password: secret } },
    ];
    const result = await run(
      inputs.map((input, index) => ({
        name: `t${index}`,
        method: 'post',
        inputs: input,
        outcomes,
      })),
      port,
    );
    const base64 = Buffer.from(`user:${secret}`).toString('base64');
    for (const report of [reportText(result, true), reportJson(result), reportJunit(result, 'f')]) {
      expect(report).toContain('***');
      expect(report.split('\n').filter((line) => /hunter2/.test(line) || line.includes(base64))).toEqual([]);
    }
  });
});
