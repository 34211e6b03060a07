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
    await fixture.store.idempotency.begin('k1', 'admin-1', 'whatever', Date.now());
    const answer = await send('k1');
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
