import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';
import { readEvents, readLines, type ServerSentEvent } from '../api/streams.ts';

let fixture: Fixture;
let token: string;
beforeAll(async () => {
  fixture = await openFixture();
  token = await fixture.token('viewer');
});
afterAll(() => fixture.close());

const by = { actor: 'test', atMs: 1 };
const append = (kind: string, subject: string) => fixture.store.events.append(kind, subject, {}, by);

/** Reads until `count` events came, then goes away as a lost connection would. */
async function read(query: string, count: number, lastEventId?: string): Promise<readonly ServerSentEvent[]> {
  const gone = new AbortController();
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const answer = await fixture.request('GET', `/api/v1/events${query}`, {
    token,
    headers,
    signal: gone.signal,
  });
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const events: ServerSentEvent[] = [];
  if (answer.body === null) return events;
  for await (const event of readEvents(answer.body)) {
    events.push(event);
    if (events.filter((one) => one.data !== undefined).length >= count) break;
  }
  gone.abort();
  return events;
}

describe('the event stream', () => {
  test('an id whose followers are no longer kept is told so, at once', async () => {
    for (const subject of ['a', 'b', 'c']) await append('test.kind', subject);
    const newest = await fixture.store.events.revision();
    await fixture.store.events.prune(2);
    const headers = { 'last-event-id': String(newest - 2) };
    const answer = await fixture.request('GET', '/api/v1/events', { token, headers });
    expect(answer.status).toBe(410);
    expect(await answer.json()).toMatchObject({ code: 'events.pruned', details: { oldest: newest } });
    expect(await read('', 0, String(newest))).toHaveLength(1);
  });

  test('whoever resumes after the last id misses nothing and sees nothing twice', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        async (reads) => {
          const begin = await fixture.store.events.revision();
          const total = reads.reduce((sum, one) => sum + one, 0);
          const writing = (async () => {
            for (let written = 0; written < total; written += 1) await append('test.kind', `s${written}`);
          })();
          let last = String(begin);
          const seen: string[] = [];
          for (const count of reads) {
            const events = (await read('', count, last)).filter((event) => event.data !== undefined);
            for (const event of events) {
              seen.push(JSON.parse(event.data ?? '{}').subject);
              last = event.id ?? last;
            }
          }
          await writing;
          expect(seen).toEqual(Array.from({ length: total }, (_, index) => `s${index}`));
        },
      ),
      { numRuns: 20 },
    );
  });

  test('filters by the beginning of the kind and by subject, and still says how far it is', async () => {
    const begin = await append('other.kind', 'x');
    await append('deployment.progress', 'd1');
    await append('deployment.progress', 'd2');
    const end = await append('deployment.finished', 'd1');
    const events = await read(`?after=${begin}&kind=deployment.&subject=d1`, 2);
    expect(events[0]).toMatchObject({ id: String(begin) });
    expect(events.at(-1)).toMatchObject({ event: 'deployment.finished', id: String(end) });
    expect(events.filter((event) => event.data !== undefined)).toHaveLength(2);
  });

  test('begins at what is newest when nothing is said', async () => {
    const newest = await append('old.kind', 'x');
    const reading = read('', 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await append('new.kind', 'y');
    expect((await reading).map((event) => event.id)).toEqual([String(newest), String(newest + 1)]);
  });

  test('a revision that does not exist is refused: the state is another one', async () => {
    const answer = await fixture.request('GET', '/api/v1/events?after=999999', { token });
    expect([answer.status, (await membersOf(answer)).code]).toEqual([400, 'input.invalid']);
  });

  test('a reader that does not read costs no memory: the store is asked only when it takes more', async () => {
    let asked = 0;
    const slow = await openFixture((parts) => ({
      ...parts,
      store: {
        ...parts.store,
        tokens: parts.store.tokens,
        events: {
          revision: async () => 1_000_000,
          append: async () => 1,
          prune: async () => 0,
          waitAfter: async () => 1_000_000,
          after: async (revision, limit) => {
            asked += 1;
            return Array.from({ length: limit }, (_, index) => ({
              revision: revision + index + 1,
              atMs: 1,
              kind: 'k',
              subject: 's',
              data: {},
            }));
          },
        },
        engine: parts.store.engine,
        images: parts.store.images,
        channels: parts.store.channels,
        releases: parts.store.releases,
        deployments: parts.store.deployments,
        services: parts.store.services,
        idempotency: parts.store.idempotency,
        audit: parts.store.audit,
        ping: (signal) => parts.store.ping(signal),
      },
    }));
    const gone = new AbortController();
    const slowToken = await slow.token('viewer');
    const answer = await slow.request('GET', '/api/v1/events?after=0', {
      token: slowToken,
      signal: gone.signal,
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    gone.abort();
    await answer.body?.cancel();
    await slow.close();
    expect(asked).toBeLessThanOrEqual(1);
  });
});

describe('other streams', () => {
  test('the log of a bake is numbered, resumes, and ends with the bake', async () => {
    const follow = async (lastEventId?: string) => {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const answer = await fixture.request('GET', '/api/v1/bakes/bake-1/log', { token, headers });
      const events: ServerSentEvent[] = [];
      if (answer.body !== null) for await (const event of readEvents(answer.body)) events.push(event);
      return events;
    };
    const all = await follow();
    expect(all.map(({ id, event }) => `${id} ${event}`)).toEqual(['1 progress', '2 progress', '3 end']);
    expect(await follow('1')).toEqual(all.slice(1));
    expect(JSON.parse(all.at(-1)?.data ?? '')).toMatchObject({ id: 'bake-1' });
  });

  test('logs are JSON lines', async () => {
    const answer = await fixture.request('GET', '/api/v1/services/storefront/stage/local/logs', { token });
    const lines = [];
    if (answer.body !== null) for await (const line of readLines(answer.body)) lines.push(line);
    expect(lines).toEqual([
      { instance: 'i1', text: 'hello' },
      { instance: 'i1', text: 'world' },
    ]);
  });

  test('a source that breaks says so as its last item: broken does not look like ended', async () => {
    const broken = await openFixture((parts) => ({
      ...parts,
      services: {
        ...parts.services,
        async *logs() {
          yield { instance: 'i1' as never, text: 'one' };
          throw new Error('the disk is gone');
        },
      },
    }));
    const answer = await broken.request('GET', '/api/v1/services/storefront/stage/local/logs', {
      token: await broken.token('viewer'),
    });
    const lines: unknown[] = [];
    const reading = (async () => {
      if (answer.body !== null) for await (const line of readLines(answer.body)) lines.push(line);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'internal' });
    await broken.close();
    expect(lines).toHaveLength(1);
  });
});

describe('a server that stops', () => {
  test('ends streams and waiting calls at once, as something to ask for again', async () => {
    const stopping = await openFixture((parts) => ({
      ...parts,
      deployer: {
        ...parts.deployer,
        wait: async (_id, _timeoutMs, signal) => {
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          throw new Error('not reached');
        },
      },
    }));
    const own = await stopping.token('admin');
    const stream = await stopping.request('GET', '/api/v1/events', { token: own });
    const waiting = stopping.request('POST', '/api/v1/rollbacks', {
      token: own,
      body: { component: 'storefront', environment: 'stage/local' },
      headers: { prefer: 'wait=60' },
    });
    const reading = (async () => {
      if (stream.body !== null) for await (const _event of readEvents(stream.body));
    })();
    await new Promise((resolve) => setTimeout(resolve, 50));
    stopping.app.close();
    await expect(reading).rejects.toMatchObject({ code: 'server.busy', retryable: true });
    const answer = await waiting;
    expect([answer.status, (await membersOf(answer)).code]).toEqual([503, 'server.busy']);
    await stopping.close();
  });
});
