/** The API over real sockets, with the typed client: what lasts when the server does not. */

import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createClient } from '../../src/api/client.ts';
import type { TransportAnswer, TransportRequest } from '../../src/api/transport.ts';
import { nodeTransport } from '../../src/cli/node-transport.ts';
import { Kiln, until } from './kiln.ts';

let kiln: Kiln;
beforeAll(async () => {
  kiln = await Kiln.create();
  await kiln.serve();
});
afterAll(() => kiln.destroy());

/** Asks at the address that the state directory has now, since a new server takes a new port here. */
async function sendToWhoeverServes(call: TransportRequest, signal?: AbortSignal): Promise<TransportAnswer> {
  const url = (await kiln.serverFile())?.url ?? '';
  return nodeTransport({ ...call, url: url + call.url }, signal);
}

async function connect(): Promise<Client> {
  let keys = 0;
  return createClient({
    transport: sendToWhoeverServes,
    url: '',
    token: (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim(),
    patienceMs: 30_000,
    now: () => performance.now(),
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, signal === undefined ? {} : { signal });
    },
    newKey: () => {
      keys += 1;
      return `key-${keys}`;
    },
  });
}

test('whoever follows events sees every one, over a server that is killed and started again', async () => {
  const client = await connect();
  const wanted = Array.from({ length: 12 }, (_, index) => `follower-${index}`);
  const { revision } = await client.call('server.get', {});
  const seen: string[] = [];
  const following = (async () => {
    const query = { after: revision, kind: 'token.created' };
    for await (const { data } of client.follow('events.follow', { query })) {
      seen.push(JSON.parse(data ?? '{}').data.name);
      if (seen.length === wanted.length) return;
    }
  })();
  for (const [index, name] of wanted.entries()) {
    if (index === 4) {
      await kiln.kill();
      await kiln.serve();
    }
    if (index === 8) await takeOver();
    await client.call('tokens.create', { body: { name, role: 'viewer' } });
  }
  await following;
  expect(seen).toEqual(wanted);
});

async function takeOver(): Promise<void> {
  const before = (await kiln.serverFile())?.pid;
  await kiln.serve('--take-over');
  await until('the newer server serves', async () => (await kiln.serverFile())?.pid !== before);
}

test('the same key is one write, on the next server too', async () => {
  const send = async () => {
    const token = (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim();
    const answer = await sendToWhoeverServes({
      method: 'POST',
      url: '/api/v1/tokens',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        'idempotency-key': 'once',
      },
      body: JSON.stringify({ name: 'once', role: 'viewer' }),
      headersTimeoutMs: 10_000,
      silenceTimeoutMs: 10_000,
    });
    const { token: made }: { token: { id: string } } = JSON.parse(await answer.text());
    return made.id;
  };
  const first = await send();
  await kiln.kill();
  await kiln.serve();
  expect(await send()).toBe(first);
  const { items } = await (await connect()).call('tokens.list', {});
  expect(items.filter((token) => token.name === 'once')).toHaveLength(1);
});

test('a page of another site gets nothing, whatever name it calls', async () => {
  const { hostname, port } = new URL((await kiln.serverFile())?.url ?? '');
  const ask = (headers: Readonly<Record<string, string>>) =>
    new Promise<number>((resolve, reject) => {
      const call = request({ hostname, port, path: '/readyz', headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      call.once('error', reject).end();
    });
  expect(await ask({ host: 'rebound.example.com' })).toBe(403);
  expect(await ask({ host: `${hostname}:${port}`, origin: 'https://evil.example.com' })).toBe(403);
  expect(await ask({ host: `${hostname}:${port}`, origin: `http://${hostname}:${port}` })).toBe(200);
});

test('a body that never ends is cut at 1 MB', async () => {
  const url = (await kiln.serverFile())?.url ?? '';
  const token = (await readFile(path.join(kiln.state, 'token'), 'utf8')).trim();
  const status = await new Promise<number>((resolve, reject) => {
    const call = request(
      `${url}/api/v1/bakes`,
      { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
        call.destroy();
      },
    );
    // The server answers and closes while this still writes.
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    const piece = 'x'.repeat(64 * 1024);
    const write = (left: number): void => {
      if (left > 0 && !call.destroyed) call.write(piece, () => setImmediate(() => write(left - 1)));
    };
    write(200);
  });
  expect(status).toBe(413);
  expect((await kiln.call('GET', '/api/v1/server')).status).toBe(200);
});

test('metrics and the contract are served', async () => {
  expect(await (await kiln.call('GET', '/metrics')).text()).toContain('kiln_store_revision');
  expect(await (await kiln.call('GET', '/api/v1/openapi.json')).json()).toMatchObject({ openapi: '3.1.0' });
});
