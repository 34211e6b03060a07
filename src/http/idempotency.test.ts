import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';

let fixture: Fixture;
let token: string;
beforeEach(async () => {
  fixture = await openFixture();
  token = await fixture.token('admin');
});
afterEach(() => fixture.close());

const body = { directory: '/app' };
const send = (key: string, more: object = {}) =>
  fixture.request('POST', '/api/v1/bakes', { token, body, headers: { 'idempotency-key': key }, ...more });

describe('a write with an Idempotency-Key', () => {
  test('is done once, and answered alike each time', async () => {
    const first = await send('k1');
    const second = await send('k1');
    expect(await second.json()).toEqual(await first.json());
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect(fixture.acts).toEqual(['bake']);
  });

  test('without a key, or with another, is done again', async () => {
    await send('k1');
    await send('k2');
    await fixture.request('POST', '/api/v1/bakes', { token, body });
    expect(fixture.acts).toEqual(['bake', 'bake', 'bake']);
  });

  test('with another body is refused', async () => {
    await send('k1');
    const answer = await send('k1', { body: { directory: '/other' } });
    expect([answer.status, (await membersOf(answer)).code]).toEqual([422, 'idempotency.mismatch']);
    expect(fixture.acts).toEqual(['bake']);
  });

  test('belongs to who sent it', async () => {
    await send('k1');
    const other = await fixture.token('admin');
    await send('k1', { token: other });
    expect(fixture.acts).toEqual(['bake', 'bake']);
  });

  test('while the first is under way is told to ask again', async () => {
    const finish = fixture.store.idempotency.finish;
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    fixture.store.idempotency.finish = async (...args) => {
      begun.resolve();
      await goOn.promise;
      return finish.apply(fixture.store.idempotency, args);
    };
    const first = send('k1');
    await begun.promise;
    const answer = await send('k1');
    goOn.resolve();
    expect((await first).status).toBe(202);
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject({ code: 'idempotency.in-progress', retryable: true });
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  test('that failed is forgotten, so that it can be tried again', async () => {
    const wrong = { directory: 'relative' };
    expect((await send('k1', { body: wrong })).status).toBe(400);
    const deploy = (image: string) =>
      fixture.request('POST', '/api/v1/deployments', {
        token,
        body: { component: 'storefront', environment: 'stage/local', image },
        headers: { 'idempotency-key': 'k2' },
      });
    expect((await deploy('storefront@1.0.0')).status).toBe(404);
    await fixture.image('1.0.0');
    expect((await deploy('storefront@1.0.0')).status).toBe(202);
  });

  test('keeps what it began under its key at once, not only when the wait is over', async () => {
    const first = await send('k1', { headers: { 'idempotency-key': 'k1', prefer: 'wait=5' } });
    expect(first.status).toBe(200);
    expect(first.headers.get('preference-applied')).toBe('wait=5');
    expect(await first.json()).toMatchObject({ state: 'failed', failure: { code: 'build.failed' } });
    expect(await (await send('k1')).json()).toMatchObject({ id: 'bake-1', state: 'running' });
  });

  test('never keeps a secret', async () => {
    const make = () =>
      fixture.request('POST', '/api/v1/tokens', {
        token,
        body: { name: 'ci', role: 'viewer' },
        headers: { 'idempotency-key': 'k1' },
      });
    const { secret, token: made } = await membersOf(await make());
    const again = await (await make()).json();
    expect(again).toEqual({ token: made });
    const use = await fixture.request('GET', '/api/v1/images', { token: String(secret) });
    expect(use.status).toBe(200);
  });
});

describe('a write whose server died before it answered', () => {
  /** Carried out by a server that ends before it answers; another one takes its place. */
  async function lostAnswer(method: string, path: string, body?: object): Promise<void> {
    const { idempotency } = fixture.store;
    const { finish, forget } = idempotency;
    idempotency.finish = () => Promise.reject(new Error('it died'));
    idempotency.forget = () => Promise.resolve();
    expect((await keyed(method, path, body)).status).toBe(500);
    Object.assign(idempotency, { finish, forget });
    expect(await membersOf(await keyed(method, path, body))).toMatchObject({
      code: 'idempotency.in-progress',
    });
    await idempotency.releaseAll('here:');
  }

  const keyed = (method: string, path: string, sent?: object) =>
    fixture.request(method, `/api/v1${path}`, {
      token,
      headers: { 'idempotency-key': 'k1' },
      ...(sent === undefined ? {} : { body: sent }),
    });

  test('is answered from what it made: a token is not made twice', async () => {
    const before = (await fixture.store.tokens.list()).length;
    const wish = { name: 'ci', role: 'viewer' };
    await lostAnswer('POST', '/tokens', wish);
    const again = await keyed('POST', '/tokens', wish);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const { token: made, ...rest } = await membersOf(again);
    expect(made).toMatchObject({ name: 'ci' });
    expect(rest).toEqual({});
    expect(await (await keyed('POST', '/tokens', wish)).json()).toEqual({ token: made });
    expect(await fixture.store.tokens.list()).toHaveLength(before + 1);
  });

  test('deletes a token once, and says so', async () => {
    const victim = await fixture.store.tokens.create({ name: 'x', role: 'viewer', environments: [] }, 'h', {
      actor: 'test',
      atMs: 1,
    });
    await lostAnswer('DELETE', `/tokens/${victim.id}`);
    const again = await keyed('DELETE', `/tokens/${victim.id}`);
    expect([again.status, await again.json()]).toEqual([200, { deleted: victim.id }]);
  });

  test('moves a channel once, though it was moved on since', async () => {
    const [first, second] = [await fixture.image('1.0.0'), await fixture.image('2.0.0')];
    const wish = { image: first.id };
    await lostAnswer('POST', '/channels/storefront/proven', wish);
    await fixture.request('POST', '/api/v1/channels/storefront/proven', {
      token,
      body: { image: second.id },
    });
    const again = await keyed('POST', '/channels/storefront/proven', wish);
    expect(await again.json()).toMatchObject({ moved: true, move: { image: first.id } });
    const history = await fixture.request('GET', '/api/v1/channels/storefront/proven', { token });
    const { items } = await membersOf(history);
    expect(items).toMatchObject([{ image: second.id }, { image: first.id }]);
  });

  test('is done again where what it began ended with the server', async () => {
    await lostAnswer('POST', '/bakes', body);
    const again = await keyed('POST', '/bakes', body);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, null]);
    expect(fixture.acts).toEqual(['bake', 'bake']);
  });
});

test('every write leaves an audit line that names who made it', async () => {
  const image = await fixture.image('1.0.0');
  const calls = [
    ['POST', '/bakes', body, 'bake.start'],
    ['POST', '/bakes/bake-1/cancel', undefined, 'bake.cancel'],
    ['POST', '/checks', { image: image.id }, 'check.start'],
    ['POST', '/channels/storefront/proven', { image: image.id }, 'channel.move'],
    ['POST', '/tokens', { name: 'x', role: 'viewer' }, 'token.create'],
    ['POST', '/server/down', { instances: true }, 'server.down'],
  ] as const;
  for (const [method, path, sent, action] of calls) {
    const answer = await fixture.request(method, `/api/v1${path}`, {
      token,
      ...(sent ? { body: sent } : {}),
    });
    expect([path, answer.status < 300]).toEqual([path, true]);
    const [newest] = (await fixture.store.audit.list({ limit: 1 })).items;
    expect([newest?.action, newest?.actor]).toEqual([action, 'admin-1']);
  }
  expect(await fixture.store.audit.firstBroken()).toBeUndefined();
});
