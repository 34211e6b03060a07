import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture.close());

const get = (query: string, password: string, path = '/api/v1/terraform/state') =>
  fixture.request('GET', `${path}?query=${encodeURIComponent(query)}`, {
    headers: { authorization: `Basic ${Buffer.from(`terraform:${password}`).toString('base64')}` },
  });

test('an image is the outputs of a state that the http backend reads, with the token as password', async () => {
  const image = await fixture.image('1.4.0');
  const token = await fixture.token('viewer');
  const answer = await get('storefront version>=1 order=-version', token);
  expect(answer.status).toBe(200);
  expect(await membersOf(answer)).toMatchObject({
    version: 4,
    serial: expect.any(Number),
    lineage: expect.any(String),
    resources: [],
    outputs: {
      id: { value: image.id, type: 'string' },
      version: { value: '1.4.0', type: 'string' },
      digest: { value: expect.stringMatching(/^sha256:/), type: 'string' },
      references: { value: { 'local/x64': expect.stringMatching(/^sha256:/) }, type: ['map', 'string'] },
    },
  });
  expect((await get('component=nothing', token)).status).toBe(404);
  await fixture.store.images.revoke(image.id, 'a hole', { actor: 'alice', atMs: 1 });
  const revoked = await get('storefront', token);
  expect(revoked.status).toBe(409);
  expect(await membersOf(revoked)).toMatchObject({
    code: 'image.unfit',
    detail: expect.stringContaining('a hole'),
  });
  expect((await get('storefront', 'wrong')).status).toBe(401);
  // A password opens nothing else.
  expect((await get('storefront', token, '/api/v1/images')).status).toBe(401);
});
