/** What another server of the store has is asked for there: for the caller, as the caller, once, and not for ever. */
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KnownServer } from '../../src/domain/known-server.ts';
import { freePort } from '../free-port.ts';
import { type Fixture, openFixture } from './app-fixture.ts';

const asked: { url: string; headers: Readonly<Record<string, unknown>> }[] = [];
const other = createServer((request, response) => {
  asked.push({ url: request.url ?? '', headers: request.headers });
  const isText = request.url?.endsWith('/text');
  response.writeHead(isText ? 200 : 404, { 'content-type': isText ? 'text/plain' : 'text/html' });
  response.end(isText ? 'its log' : '<h1>nothing</h1>');
});
const known = new Map<string, KnownServer>();

let fixture: Fixture;
let token: string;

beforeAll(async () => {
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const seenAtMs = Date.now();
  const there = { id: 'there', url, host: hostname(), version: '1', startedAtMs: 1, seenAtMs };
  known.set('there', there);
  known.set('silent', { ...there, id: 'silent', seenAtMs: 1_000 });
  known.set('stopped', { ...there, id: 'stopped', stoppedAtMs: 2_000 });
  known.set('afar', { ...there, id: 'afar', host: 'another-machine' });
  known.set('refusing', { ...there, id: 'refusing', url: `http://127.0.0.1:${await freePort()}` });
  fixture = await openFixture((parts) => ({
    ...parts,
    servers: {
      ...parts.servers,
      id: 'here',
      host: hostname(),
      list: async () => [],
      get: async (id) => known.get(id),
    },
  }));
  token = await fixture.token('viewer');
  for (const server of [...known.keys(), 'forgotten'])
    await fixture.store.logPlaces.note({ execution: 'e', task: server, server, state: 'S', startedAtMs: 5 });
});
afterAll(async () => {
  await fixture.close();
  await new Promise((resolve) => other.close(resolve));
});

const log = (task: string, more = '', headers: Readonly<Record<string, string>> = {}) =>
  fixture.request('GET', `/api/v1/executions/e/logs/${task}${more}`, { token, headers });

describe('a log that another server has', () => {
  it('is asked for there, with the caller’s own token, by name', async () => {
    const answer = await log('there', '/text');
    expect(await answer.text()).toBe('its log');
    expect(asked.splice(0)).toMatchObject([
      {
        url: '/api/v1/executions/e/logs/there/text',
        headers: { authorization: `Bearer ${token}`, 'kiln-passed-to': 'there' },
      },
    ]);
    await log('there', '?from=3', { 'last-event-id': '77' });
    expect(asked.splice(0)).toMatchObject([
      { url: '/api/v1/executions/e/logs/there?from=3', headers: { 'last-event-id': '77' } },
    ]);
  });

  it('is not asked for by whoever may not read it here', async () => {
    const answer = await fixture.request('GET', '/api/v1/executions/e/logs/there/text', { token: 'nobody' });
    expect([answer.status, asked]).toEqual([401, []]);
  });

  it.each([
    [
      'silent',
      503,
      { code: 'server.gone', detail: expect.stringContaining('last seen at 1970-01-01T00:00:01') },
    ],
    [
      'stopped',
      503,
      { code: 'server.gone', detail: expect.stringContaining('last seen at 1970-01-01T00:00:02') },
    ],
    [
      'refusing',
      503,
      { code: 'server.gone', detail: expect.stringContaining('does not answer (ECONNREFUSED)') },
    ],
    ['forgotten', 503, { code: 'server.gone', detail: expect.stringContaining('forgotten') }],
    ['afar', 502, { code: 'server.unreachable', next: expect.stringContaining('KILN_PEER_URL') }],
  ])('of a server that is %s is no empty log', async (task, status, problem) => {
    for (const way of ['', '/text', '/lines?from=1&limit=1']) {
      const answer = await log(task, way);
      expect([way, answer.status, await answer.json()]).toMatchObject([way, status, problem]);
    }
  });

  it('is not asked for a second time: one hop', async () => {
    const passed = await log('there', '/text', { 'kiln-passed-to': 'here' });
    expect([passed.status, asked]).toEqual([404, []]);
    const astray = await log('there', '/text', { 'kiln-passed-to': 'somebody else' });
    expect([astray.status, await astray.json()]).toMatchObject([503, { code: 'server.gone' }]);
  });

  it('is the one that is named, where a task has two; what is not named cannot be gone on with', async () => {
    const places = [
      { server: 'silent', startedAtMs: 1 },
      { server: 'there', startedAtMs: 2 },
    ];
    for (const place of places)
      await fixture.store.logPlaces.note({ execution: 'e', task: 'twice', state: 'S', ...place });
    expect((await log('twice', '/text')).status).toBe(200);
    expect((await log('twice', '/text?server=silent')).status).toBe(503);
    const resumed = await log('twice', '', { 'last-event-id': '5' });
    expect([resumed.status, await resumed.json()]).toMatchObject([
      409,
      { next: expect.stringContaining('?server=silent') },
    ]);
  });
});
