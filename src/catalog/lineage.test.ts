import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, openFixture } from '../../test/http/app-fixture.ts';
import { differences } from '../domain/difference.ts';
import type { ImageId } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import { packagesIn, tagDifferences } from './compare-images.ts';
import { lineageOf } from './lineage.ts';

let fixture: Fixture;
beforeEach(async () => {
  fixture = await openFixture();
});
afterEach(() => fixture.close());

async function child(parent: Image, version: string): Promise<Image> {
  const { checks: _, ...like } = parent;
  const image = { ...like, id: `image-${version}` as ImageId, version, parent: parent.id };
  const definition = { ...like.definition, image: { ...like.definition.image, base: 'storefront@golden' } };
  return fixture.store.images.create({ ...image, definition }, { actor: 'test', atMs: 1 });
}

test('lineage goes both ways, parents before children, and says where it was cut off', async () => {
  const root = await fixture.image('1.0.0');
  const [first, second] = [await child(root, '1.1.0'), await child(root, '1.2.0')];
  const leaf = await child(first, '1.1.1');
  const versions = async (image: Image, limit: number) => {
    const { ancestors, descendants, cut } = await lineageOf(fixture.store, image, limit);
    const down = descendants.map((one) => `${one.depth} ${one.image.version}`);
    return { up: ancestors.map((one) => one.version), down, cut };
  };
  expect(await versions(root, 9)).toEqual({ up: [], down: ['1 1.2.0', '1 1.1.0', '2 1.1.1'], cut: false });
  expect(await versions(root, 3)).toMatchObject({ cut: false });
  expect(await versions(root, 2)).toEqual({ up: [], down: ['1 1.2.0', '1 1.1.0'], cut: true });
  expect(await versions(root, 1)).toMatchObject({ down: ['1 1.2.0'], cut: true });
  expect(await versions(leaf, 9)).toEqual({ up: ['1.1.0', '1.0.0'], down: [], cut: false });
  expect(await versions(second, 9)).toEqual({ up: ['1.0.0'], down: [], cut: false });
  expect(
    tagDifferences({ ...root, tags: { a: '1', b: '2' } }, { ...leaf, tags: { b: '3', c: '4' } }),
  ).toEqual([
    { key: 'a', from: '1' },
    { key: 'b', from: '2', to: '3' },
    { key: 'c', to: '4' },
  ]);
});

test('packages are told apart by name, whatever the number of their versions', () => {
  const sbom = (...all: string[]) =>
    JSON.stringify({
      components: all.map((one) => ({
        purl: `pkg:npm/${one}`,
        version: one.slice(one.lastIndexOf('@') + 1),
      })),
    });
  const found = differences(
    packagesIn(sbom('left@1.0.0', '%40scope/same@2.0.0', 'gone@1.0.0')),
    packagesIn(sbom('left@1.0.1', 'left@1.0.0', '%40scope/same@2.0.0')),
  );
  expect(found).toEqual([
    { key: 'pkg:npm/gone', from: '1.0.0' },
    { key: 'pkg:npm/left', from: '1.0.0', to: '1.0.0, 1.0.1' },
  ]);
  expect(packagesIn('{}').size).toBe(0);
});
