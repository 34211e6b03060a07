/** Against a real server on a real socket: what is lost on the way, and what the client makes of it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { nodeTransport } from '../cli/node-transport.ts';
import { type Client, createClient } from './client.ts';
import { fetchTransport } from './transport.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen(handler: Handler, port = 0): Promise<{ server: Server; port: number }> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

const transports = { node: nodeTransport, fetch: fetchTransport(fetch) };

function clientOf(port: number, transport = nodeTransport, patienceMs = 5_000): Client {
  let keys = 0;
  return createClient({
    transport,
    url: `http://127.0.0.1:${port}`,
    token: 'secret',
    patienceMs,
    reachedPatienceMs: Math.max(patienceMs, 5_000),
    now: () => performance.now(),
    sleep: async (ms, signal) => void (await sleep(ms, undefined, signal ? { signal } : {})),
    newKey: () => {
      keys += 1;
      return `key-${keys}`;
    },
  });
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const problem = (code: string, retryable = false) => ({
  code,
  detail: 'It is so.',
  faults: [],
  retryable,
  details: {},
});

describe.each(Object.entries(transports))('over %s', (_name, transport) => {
  test('sends token, parameters and query, and gives the answer', async () => {
    const { port } = await listen((request, response) =>
      json(response, 200, { url: request.url, authorization: request.headers.authorization }),
    );
    const answer = await clientOf(port, transport).call('images.get', { params: { reference: 'a@1/2' } });
    expect(answer).toEqual({ url: '/api/v1/images/a%401%2F2', authorization: 'Bearer secret' });
  });

  test('a write whose connection is lost is sent again under the same key', async () => {
    const keys: unknown[] = [];
    const { port } = await listen((request, response) => {
      keys.push(request.headers['idempotency-key']);
      if (keys.length < 3) request.socket.destroy();
      else json(response, 202, { id: 'd1' });
    });
    const body = { component: 'storefront', environment: 'stage/local' };
    await clientOf(port, transport).call('deployments.rollback', { body });
    expect(keys).toEqual(['key-1', 'key-1', 'key-1']);
  });

  test('a server that is away for a moment is waited for', async () => {
    const first = await listen(() => undefined);
    await new Promise((resolve) => first.server.close(resolve));
    const asking = clientOf(first.port, transport).call('tokens.list', {});
    await sleep(150);
    await listen((_request, response) => json(response, 200, { items: [] }), first.port);
    expect(await asking).toEqual({ items: [] });
  });

  test('a server that stays away is server.unreachable, with what to do', async () => {
    const { server, port } = await listen(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    await expect(clientOf(port, transport, 100).call('tokens.list', {})).rejects.toMatchObject({
      code: 'server.unreachable',
      next: expect.stringContaining('kiln up'),
    });
  });

  test('one that has answered is waited for longer', async () => {
    const first = await listen((_request, response) => json(response, 200, { items: [] }));
    const client = clientOf(first.port, transport, 0);
    await client.call('tokens.list', {});
    first.server.closeAllConnections();
    await new Promise((resolve) => first.server.close(resolve));
    const asking = client.call('tokens.list', {});
    await sleep(150);
    await listen((_request, response) => json(response, 200, { items: [] }), first.port);
    expect(await asking).toEqual({ items: [] });
  });

  test('an event stream that is cut goes on after the last event, and ends with `end`', async () => {
    const resumed: unknown[] = [];
    const { port } = await listen((request, response) => {
      const last = Number(request.headers['last-event-id'] ?? 0);
      resumed.push(last);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`: hello\n\nid: ${last + 1}\nevent: progress\ndata: ${last + 1}\n\n`);
      if (last >= 2) response.end(`id: ${last + 2}\nevent: end\ndata: done\n\n`);
      else {
        // A heartbeat says how far the stream is; then the connection is cut in the middle of an event.
        response.write(`id: ${last + 1}\n\nid: 99\nevent: progress\nda`);
        setTimeout(() => request.socket.destroy(), 20);
      }
    });
    const seen: unknown[] = [];
    for await (const { data } of clientOf(port, transport).follow('bakes.log', { params: { id: 'b' } }))
      seen.push(data);
    expect(seen).toEqual(['1', '2', '3', 'done']);
    expect(resumed).toEqual([0, 1, 2]);
  });

  test('is cut short by its signal', async () => {
    const { port } = await listen(() => undefined);
    const signal = AbortSignal.timeout(50);
    await expect(clientOf(port, transport).call('tokens.list', {}, { signal })).rejects.toMatchObject({
      code: 'timeout',
    });
  });
});

describe('failures', () => {
  test('come as they were: code, next step, faults', async () => {
    const sent = { ...problem('input.invalid'), next: 'Do.', faults: [{ path: 'a', message: 'is wrong' }] };
    const { port } = await listen((_request, response) => json(response, 400, sent));
    await expect(clientOf(port).call('tokens.list', {})).rejects.toMatchObject({
      code: 'input.invalid',
      next: 'Do.',
      faults: [{ path: 'a', message: 'is wrong' }],
    });
  });

  test('a code of a newer server keeps its words', async () => {
    const { port } = await listen((_request, response) => json(response, 418, problem('teapot.hot')));
    await expect(clientOf(port).call('tokens.list', {})).rejects.toMatchObject({
      code: 'internal',
      message: 'It is so.',
      details: { code: 'teapot.hot' },
    });
  });

  test('what is not Kiln is said to be so', async () => {
    const { port } = await listen((_request, response) => void response.writeHead(200).end('<html>'));
    await expect(clientOf(port).call('tokens.list', {})).rejects.toMatchObject({ code: 'server.protocol' });
    const other = await listen((_request, response) => void response.writeHead(404).end('<html>'));
    await expect(clientOf(other.port).call('tokens.list', {})).rejects.toMatchObject({
      code: 'server.protocol',
    });
  });

  test('a refusal is not asked again; a busy store and a key in progress are', async () => {
    const answers = ['store.busy', 'idempotency.in-progress'];
    let asked = 0;
    const { port } = await listen((_request, response) => {
      asked += 1;
      const code = answers.shift();
      if (code === undefined) json(response, 409, problem('deployment.in-progress'));
      else json(response, code === 'store.busy' ? 503 : 409, problem(code, true));
    });
    const body = { component: 'storefront', environment: 'stage/local' };
    await expect(clientOf(port).call('deployments.rollback', { body })).rejects.toMatchObject({
      code: 'deployment.in-progress',
    });
    expect(asked).toBe(3);
  });
});
