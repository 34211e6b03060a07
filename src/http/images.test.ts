import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture, STAGE, STOREFRONT } from '../../test/http/app-fixture.ts';
import { formatted } from '../cli/format.ts';
import { digest, type ImageId, processName, serviceKey } from '../domain/ids.ts';
import { serverGroupName } from '../domain/server-group.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture.close());

async function list(query: string) {
  const token = await fixture.token('viewer');
  const answer = await fixture.request('GET', `/api/v1/images?query=${encodeURIComponent(query)}`, { token });
  const { items, code } = await membersOf(answer);
  return { status: answer.status, items, code };
}

test('images are found by the query language, in the order of versions, with a good refusal', async () => {
  for (const version of ['1.9.0', '1.10.0', '1.10.0-rc.1']) await fixture.image(version);
  await fixture.image('2.0.0', false);
  const versions = async (query: string) => {
    const { items } = await list(query);
    return Array.isArray(items) ? items.map((one) => one.version) : undefined;
  };
  expect(await versions('storefront tested=true order=-version limit=1')).toEqual(['1.10.0']);
  expect(await versions('component=storefront version<2 order=version')).toEqual([
    '1.9.0',
    '1.10.0-rc.1',
    '1.10.0',
  ]);
  expect(await versions('arch=x64 tested=false')).toEqual(['2.0.0']);
  expect(await versions('component=nothing')).toEqual([]);
  expect(await list('storefront verison=1')).toMatchObject({ status: 400, code: 'input.invalid' });
});

test('a format shows what an image has, and refuses what none can have', async () => {
  await fixture.image('1.0.0');
  const token = await fixture.token('viewer');
  const answer = await fixture.request('GET', '/api/v1/images/storefront@1.0.0', { token });
  const image = JSON.parse(await answer.text());
  expect(formatted('{{component}}@{{ version }} {{arch}} {{tags.version}}{{region}}', image)).toBe(
    'storefront@1.0.0 x64 1.0.0',
  );
  expect(formatted('{{digest}}', image)).toMatch(/^sha256:/);
  expect(() => formatted('{{digset}}', image)).toThrow(/digset/);
});

test('a revoked image is named wherever it runs, and replaced by the last good release on request', async () => {
  const { store } = fixture;
  const images = [await fixture.image('1.0.0'), await fixture.image('1.1.0'), await fixture.image('1.2.0')];
  const by = { actor: 'test', atMs: 1 };
  const web = { component: STOREFRONT, environment: STAGE } as const;
  for (const { id, version } of images)
    await store.releases.create({ ...web, ...releaseOf(id, version) }, by);
  const service = serviceKey(STOREFRONT, STAGE);
  const lease = await store.leases.acquire(service, 'owner', 60_000, 0);
  const fence = lease?.fence ?? 0;
  for (const to of [1, 2, 3]) {
    const strategy = 'rolling' as const;
    const { id } = await store.deployments.create(
      { ...web, reason: 'deploy', to, strategy, onConflict: 'refuse' },
      by,
    );
    await store.deployments.finish(id, { state: 'deployed' }, fence, { actor: 'owner', atMs: to });
  }
  const process = processName('web');
  const name = serverGroupName(STOREFRONT, process, STAGE, 3);
  const group = {
    ...web,
    name,
    process,
    release: 3,
    role: 'main',
    target: 'local',
    desired: 1,
    leaving: [],
  } as const;
  await store.services.putGroup(group, fence, by);
  const token = await fixture.token('admin');
  const revoke = async (version: string, replace: boolean) => {
    const where = `/api/v1/images/storefront@${version}/revoke`;
    return membersOf(await fixture.request('POST', where, { token, body: { why: 'a hole', replace } }));
  };
  expect(await revoke('1.1.0', true)).toEqual({ images: [images[1]?.id], running: [] });
  expect(fixture.acts).toEqual([]);
  const use = { ...web, group: name, release: 3, image: images[2]?.id, replacement: 1 };
  expect(await revoke('1.2.0', false)).toEqual({ images: [images[2]?.id], running: [use] });
  expect(await revoke('1.2.0', true)).toEqual({ images: [], running: [{ ...use, deployment: 'd1' }] });
  expect(fixture.acts).toEqual(['rollback']);
});

function releaseOf(image: ImageId, version: string) {
  const hex = digest(`sha256:${'0'.repeat(64)}`);
  const deploy = {
    strategy: 'rolling',
    keepWarmMs: 0,
    timeoutMs: 1,
    batch: 1,
    steps: [],
    everyMs: 0,
  } as const;
  return {
    image,
    version,
    artifact: hex,
    config: { digest: hex, values: {}, files: [] },
    settings: { target: 'local', processes: [], deploy, checks: [], environment: {} },
    routes: [],
  };
}
