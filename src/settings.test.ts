import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEFAULT_RETENTION } from './domain/retention.ts';
import { loadSettings, type Settings } from './settings.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(path.join(tmpdir(), 'kiln-settings-'));
});
afterEach(() => rm(state, { recursive: true, force: true }));

async function loaded(text: string): Promise<Settings> {
  await writeFile(path.join(state, 'settings.yaml'), text);
  return loadSettings({ state }, {});
}

test('the rules of the janitor are those of the file, and the defaults where it says nothing', async () => {
  expect(loadSettings({ state }, {}).retention).toEqual(DEFAULT_RETENTION);
  expect((await loaded('janitor: {unusedDays: 10, noticeWorkingDays: 5, share: 0.02}')).retention).toEqual({
    ...DEFAULT_RETENTION,
    unusedMs: 10 * 24 * 3600_000,
    noticeWorkingDays: 5,
    share: 0.02,
  });
  expect((await loaded('janitor: {share: 1}')).retention).toEqual({ ...DEFAULT_RETENTION, share: 1 });
});

test.each([
  ['janitor: {share: 0}', 'janitor.share'],
  ['janitor: {unusedDays: 0}', 'janitor.unusedDays'],
  ['janitor: {noticeWorkingDays: 1.5}', 'janitor.noticeWorkingDays'],
  ['janitor: {unused: 4}', 'janitor'],
])('%s is refused, and named', async (text, fault) => {
  await expect(loaded(text)).rejects.toMatchObject({ code: 'input.invalid', faults: [{ path: fault }] });
});
