import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';
import { formatted } from '../cli/format.ts';

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
