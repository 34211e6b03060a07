/** Baking the source of an image once more: the same source, wherever it is found, or a reason why not. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { channelName, componentName } from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import { digestOf, type Kitchen, openKitchen, scratch, writeTree } from './bake-fixture.ts';

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

const by = { actor: 'tester', atMs: 1 };
const yaml = (component: string, base = '') =>
  `component: ${component}\nimage: {run: node server.js${base}}\nservice: {}\n`;
const CHILD = yaml('shop', ', base: base@golden, rebake: on-base-change');

async function newBase(version: string, text: string): Promise<Image> {
  const folder = path.join(room.directory, 'base');
  await writeTree(folder, { 'kiln.yaml': yaml('base'), 'server.js': text });
  const image = await kitchen.baked(folder, { version });
  const held = await kitchen.store.channels.current(componentName('base'), channelName('golden'));
  const previous = held === undefined ? {} : { previous: held.image };
  const move = { component: image.component, channel: channelName('golden'), image: image.id, why: 'test' };
  await kitchen.store.channels.move({ ...move, ...previous }, by);
  return image;
}

/** With an executable, a link, and a name that needs care. */
async function shop(folder: string): Promise<void> {
  await mkdir(path.join(folder, 'bin'), { recursive: true });
  await writeTree(folder, {
    'kiln.yaml': CHILD,
    'app.js': 'one',
    'bin/run': '#!/bin/sh\n',
    'a "b" é.txt': 'x',
  });
  execFileSync('chmod', ['755', path.join(folder, 'bin/run')]);
  await symlink('app.js', path.join(folder, 'link.js'));
}

const again = (image: Image) => ({ again: image, actor: 'rebake' });

it('takes the folder while it is what it was, and says so when it is gone or another', async () => {
  await newBase('1.0.0', 'one');
  const folder = path.join(room.directory, 'shop');
  await shop(folder);
  const first = await kitchen.baked(folder, { version: '1.2.0' });
  expect(first.source).toEqual({ directory: folder, server: 'here', host: 'kitchen' });
  expect(first.tags.rebake).toBe('on-base-change');
  const base = await newBase('2.0.0', 'two');

  const second = await kitchen.baked(folder, again(first));
  expect(second).toMatchObject({ parent: base.id, source: first.source, tags: { 'rebake-of': first.id } });
  expect(second.version).toMatch(/^1\.2\.0\+[0-9a-f]{8}$/);
  expect(digestOf(second)).not.toBe(digestOf(first));
  // The same source on another base is another input.
  expect(second.inputKey).not.toBe(first.inputKey);
  // Asked for twice is done once, from either of the two.
  for (const image of [first, second]) expect((await kitchen.baked(folder, again(image))).id).toBe(second.id);

  // A base of equal bytes is another base: the lineage moves on, and nothing is built.
  const equal = await newBase('2.0.1', 'two');
  const third = await kitchen.baked(folder, again(second));
  expect(third).toMatchObject({ parent: equal.id, version: `${second.version}.2` });
  expect(digestOf(third)).toBe(digestOf(second));

  await newBase('3.0.0', 'three');
  await writeFile(path.join(folder, 'app.js'), 'half done');
  expect(await kitchen.failure(folder, again(third))).toMatchObject({
    code: 'source.changed',
    message: expect.stringContaining('is not what shop@'),
  });
  await rename(folder, `${folder}-gone`);
  expect(await kitchen.failure(folder, again(third))).toMatchObject({
    code: 'not-found',
    message: expect.stringContaining('is gone'),
  });
});

it('takes the commit out of the repository where the folder has gone on, or is gone, and runs nothing of it', async () => {
  await newBase('1.0.0', 'one');
  const repository = path.join(room.directory, 'repository');
  const folder = path.join(repository, 'services/shop');
  await shop(folder);
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      stdio: 'pipe',
    });
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'one');
  const first = await kitchen.baked(folder, { version: '1.2.0' });
  expect(first.source?.commit).toMatch(/^[0-9a-f]{40}$/);

  await newBase('2.0.0', 'two');
  await writeFile(path.join(folder, 'app.js'), 'half done');
  // A filter of the repository's configuration would run whatever its owner wrote there.
  const witness = path.join(room.directory, 'filter-has-run');
  git('config', 'filter.evil.smudge', `touch ${witness}; cat`);
  await writeFile(path.join(repository, '.git/info/attributes'), '* filter=evil\n');
  const second = await kitchen.baked(folder, again(first));
  expect(second.tags).toMatchObject({ 'git.sha': first.source?.commit, 'git.dirty': 'false' });
  const unpacked = await kitchen.unpack(digestOf(second));
  expect(await readFile(path.join(unpacked, 'app.js'), 'utf8')).toBe('one');
  expect(second.source).toEqual(first.source);
  await expect(readFile(witness)).rejects.toThrow();

  await newBase('3.0.0', 'three');
  await rename(folder, path.join(room.directory, 'moved-away'));
  expect((await kitchen.baked(folder, again(second))).tags['rebake-of']).toBe(second.id);
  await rename(repository, `${repository}-gone`);
  await newBase('4.0.0', 'four');
  expect(await kitchen.failure(folder, again(second))).toMatchObject({
    code: 'not-found',
    message: expect.stringContaining(`commit ${first.source?.commit}`),
  });
});
