/** Looking into what was really baked: on which files two images differ, and which blobs are damaged or missing. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ImageFiles } from '../../src/bakery/image-files.ts';
import { readManifest } from '../../src/bakery/oci-layout.ts';
import { digestOf, type Kitchen, kilnYaml, NEVER, openKitchen, scratch, writeTree } from './bake-fixture.ts';

let room: Awaited<ReturnType<typeof scratch>>;
let kitchen: Kitchen;
beforeEach(async () => {
  room = await scratch();
  kitchen = await openKitchen(path.join(room.directory, 'state'));
});
afterEach(async () => {
  await kitchen.close();
  await room.remove();
});

it('names files that differ, and blobs that are damaged or missing', async () => {
  const source = path.join(room.directory, 'shop');
  await writeTree(source, { 'kiln.yaml': kilnYaml(), 'server.js': 'one', 'gone.txt': 'x', 'same.txt': 'y' });
  const first = await kitchen.baked(source);
  await rm(path.join(source, 'gone.txt'));
  await writeTree(source, { 'server.js': 'two', 'new.txt': 'z' });
  const second = await kitchen.baked(source);
  const files = new ImageFiles(kitchen.blobs);
  const changes = await files.changes(digestOf(first), digestOf(second), NEVER);
  expect(changes.map(({ path: file, change }) => `${path.basename(file)} ${change}`)).toEqual([
    'gone.txt removed',
    'new.txt added',
    'server.js content',
  ]);
  expect(await files.changes(digestOf(first), digestOf(first), NEVER)).toEqual([]);
  expect((await files.verify([first, second], NEVER)).faults).toEqual([]);

  const [layer] = (await readManifest(kitchen.blobs, digestOf(first))).layers;
  if (layer === undefined) throw new Error('The image has no layer.');
  await writeFile(await kitchen.blobs.path(layer.digest), 'something else');
  await kitchen.blobs.delete(digestOf(second));
  const { faults } = await files.verify([first, second], NEVER);
  expect(faults.map(({ image, code, digest }) => ({ image: image.id, code, digest }))).toEqual([
    { image: first.id, code: 'blob.damaged', digest: layer.digest },
    { image: second.id, code: 'blob.missing', digest: digestOf(second) },
  ]);
});
