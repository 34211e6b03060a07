import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeDrafts, removeFile, replaceFile } from './durable-file.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-durable-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a file is replaced as a whole, and removed when it is there', async () => {
  const file = path.join(directory, 'a.json');
  await Promise.all(['one', 'two', 'three'].map((text) => replaceFile(file, text)));
  expect(['one', 'two', 'three']).toContain(await readFile(file, 'utf8'));
  expect(await readdir(directory)).toEqual(['a.json']);
  await removeFile(file);
  await removeFile(file);
  expect(await readdir(directory)).toEqual([]);
});

test('drafts that a crash left go, and nothing else does; where others write, only old ones', async () => {
  const [old, young] = ['a.json.0123abcd.new', 'a.json.4832a735.new'];
  for (const name of [old, young, 'a.json', 'page.new']) await writeFile(path.join(directory, name), 'x');
  await utimes(path.join(directory, old), 0, 0);
  await removeDrafts(directory, 60_000);
  expect((await readdir(directory)).toSorted()).toEqual(['a.json', young, 'page.new']);
  await removeDrafts(directory);
  expect((await readdir(directory)).toSorted()).toEqual(['a.json', 'page.new']);
});
