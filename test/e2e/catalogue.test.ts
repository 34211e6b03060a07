/** The catalogue as people meet it: tags, what is revoked, what is pinned, over a real server. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kiln } from './kiln.ts';

interface Bake {
  readonly state: string;
  readonly image: { readonly id: string; readonly version: string };
}

let kiln: Kiln;
let app: string;
beforeAll(async () => {
  kiln = await Kiln.create();
  await mkdir(kiln.state, { mode: 0o700 });
  await writeFile(
    path.join(kiln.state, 'settings.yaml'),
    'janitor: {unusedDays: 30, noticeWorkingDays: 5}\n',
  );
  await kiln.serve();
  app = await kiln.example('storefront');
});
afterAll(() => kiln.destroy());

const DIGEST = ['--format', '{{digest}}'] as const;

const ids = async (query: string): Promise<readonly string[]> =>
  (await kiln.json<{ items: { id: string }[] }>('images', query)).items.map(({ id }) => id);

test('an image is found by its tags, and pinned by one', async () => {
  const first = await kiln.json<Bake>(
    'bake',
    app,
    '--version',
    '1.0.0',
    '--tag',
    'env=stage',
    '--tag',
    'team=a b',
  );
  const { id } = first.image;
  expect(await ids('env=stage team="a b"')).toEqual([id]);
  expect(await kiln.json('janitor', 'explain', id)).not.toMatchObject({ kept: 'pinned' });
  await kiln.json('tag', 'storefront@1.0.0', 'expires=never', 'team=');
  expect((await kiln.run('janitor', 'explain', id)).stdout).toContain('pinned by expires=never');
  expect(await ids('team=*')).toEqual([]);

  // Another --tag is no other image; another tag in the file is one.
  const same = await kiln.json<Bake>('bake', app, '--version', '1.0.0', '--tag', 'env=live');
  expect(same).toMatchObject({ state: 'unchanged', image: { id } });
  expect(await ids('env=live')).toEqual([id]);
  const file = path.join(app, 'kiln.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/^image:$/m, 'image:\n  tags: {tier: 1.10}'));
  const other = await kiln.json<Bake>('bake', app, '--version', '1.1.0');
  expect(other.state).toBe('baked');
  expect(await ids('tier=1.10')).toEqual([other.image.id]);

  const refused = await kiln.run('tag', 'storefront@1.0.0', 'git.sha=0');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('set by Kiln itself') });
});

test('the janitor keeps the rules of settings.yaml', async () => {
  expect((await kiln.run('janitor')).stdout).toContain(
    'Images unused for 30 days are announced, and swept 5 working days later.',
  );
  expect((await kiln.run('janitor', 'announced')).stdout).toContain('No image is announced.');
});

test('what is revoked is handed to no script that does not know, and says so to people', async () => {
  await kiln.json('check', 'storefront@1.0.0');
  await kiln.json('promote', 'storefront@1.0.0', 'golden');
  const held = await kiln.run('images', 'storefront:golden', ...DIGEST);
  expect(held).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
  await kiln.json('revoke', 'storefront@1.0.0', '--why', 'leaks its log');

  const refused = await kiln.run('images', 'storefront:golden', ...DIGEST);
  expect(refused).toMatchObject({
    stdout: '',
    stderr: expect.stringContaining('was revoked: leaks its log'),
  });
  expect(refused.code).not.toBe(0);
  expect(await kiln.run('images', 'storefront:golden revoked=true', ...DIGEST)).toMatchObject(held);

  const shown = await kiln.run('images', '--image', 'storefront@1.0.0');
  expect(shown.stdout).toMatch(/revoked {4}by \S+ at \d{4}-\S+: leaks its log/);
  const channels = await kiln.run('channels', 'storefront');
  expect(channels.stdout).toContain('storefront@1.0.0 (revoked: leaks its log)');
});

test('a refusal says what is the matter and where to look', async () => {
  const base = path.join(kiln.directory, 'base');
  await mkdir(base);
  await writeFile(
    path.join(base, 'kiln.yaml'),
    'component: base\nimage: {run: echo it is broken; exit 1}\nservice: {}\n',
  );
  const { image } = await kiln.json<Bake>('bake', base, '--version', '1.0.0');
  expect((await kiln.run('channels', image.id)).stdout).toContain('base has no channel');
  expect((await kiln.run('promote', 'base', 'golden')).stderr).toContain('such as base@1.0.0');
  expect((await kiln.run('promote', 'base@1.0.0', 'golden')).stderr).toContain('kiln check base@1.0.0');
  expect((await kiln.run('check', 'base@1.0.0')).code).toBe(1);
  const refused = await kiln.run('promote', 'base@1.0.0', 'golden');
  expect(refused.stderr).toContain('its last check failed: boot');
  expect(refused.stderr).toContain('kiln images --image base@1.0.0');
  expect((await kiln.run('images', '--image', 'base@1.0.0')).stdout).toContain('it is broken');
});
