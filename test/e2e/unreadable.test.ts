/**
 * What the user of Kiln may not read or write: said so, with the path, and never taken for something that is not there.
 * Root may read everything, so where the tests are root it is all done as `nobody`.
 */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { writeShop } from './journey-shop.ts';
import { Kiln, type KilnOptions } from './kiln.ts';

const NOBODY = 65_534;
const AS_ORDINARY_USER: KilnOptions = process.getuid?.() === 0 ? { user: { uid: NOBODY, gid: NOBODY } } : {};

/** Whoever owns the checkout builds it; who only may read it cannot. */
beforeAll(async () => {
  const owner = await Kiln.create();
  await owner.run('version');
  await owner.destroy();
}, 120_000);

describe('what the user may not read', () => {
  let kiln: Kiln;
  let shop: string;

  beforeAll(async () => {
    kiln = await Kiln.create(AS_ORDINARY_USER);
    shop = path.join(kiln.directory, 'shop');
    await writeShop(shop, { text: 'readable' });
    await mkdir(path.join(shop, 'secret'));
    await writeFile(path.join(shop, 'secret/key'), 'x');
    giveAway(kiln.directory);
    const { code, stderr } = await kiln.run('version');
    if (code !== 0) throw new Error(`the checkout must be readable by every user: ${stderr}`);
    await kiln.serve();
  });
  afterAll(() => kiln?.destroy());

  /** Closed while the test runs. */
  async function close(file: string): Promise<void> {
    await chmod(file, 0o000);
    onTestFinished(() => chmod(file, 0o755));
  }

  async function expectRefused(args: readonly string[], code: string, said: string): Promise<void> {
    const result = await kiln.run(...args);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(`[${code}]`) });
    expect(result.stderr).toContain(said);
    expect(result.stderr).not.toMatch(/^ {4}at /m);
  }

  test('a folder or a file in the source', async () => {
    await close(path.join(shop, 'secret'));
    await expectRefused(['bake', shop], 'input.invalid', '"secret" cannot be read');
    await chmod(path.join(shop, 'secret'), 0o755);
    await close(path.join(shop, 'secret/key'));
    await expectRefused(['bake', shop], 'input.invalid', 'secret/key');
  });

  test('kiln.yaml', async () => {
    await close(path.join(shop, 'kiln.yaml'));
    await expectRefused(['bake', shop], 'component-file.invalid', 'kiln.yaml cannot be read');
  });

  test('the folder itself, or one above it', async () => {
    await close(shop);
    await expectRefused(['bake', shop], 'component-file.invalid', shop);
    await expectRefused(['init', shop], 'input.invalid', shop);
    await expectRefused(['bake', path.join(shop, 'deeper')], 'input.invalid', 'deeper cannot be read');
  });

  test('and once it may, all is as if nothing had happened', async () => {
    const baked = await kiln.json('bake', shop, '--version', '1.0.0');
    expect(baked).toMatchObject({ state: 'baked' });
    expect(await readdir(path.join(kiln.state, 'tmp')).catch(() => [])).toEqual([]);
  });
});

describe('a state directory', () => {
  async function serveWith(
    prepare: (kiln: Kiln) => Promise<void>,
    ...args: readonly string[]
  ): Promise<{ readonly code: number; readonly stderr: string; readonly state: string }> {
    const kiln = await Kiln.create(AS_ORDINARY_USER);
    onTestFinished(async () => {
      execFileSync('chmod', ['-R', 'u+rwX', kiln.directory]);
      await kiln.destroy();
    });
    await prepare(kiln);
    const { code, stderr } = await kiln.run('serve', ...args);
    expect(stderr).not.toMatch(/^ {4}at /m);
    return { code, stderr, state: kiln.state };
  }

  type Refusal = readonly [string, (kiln: Kiln) => Promise<void>, string];
  const closed: readonly Refusal[] = [
    ['that is closed to the user', (kiln) => made(kiln.state, 0o000), 'cannot be read'],
    ['that cannot be made', (kiln) => chmod(kiln.directory, 0o555), 'cannot be used as the state directory'],
    ['that is a file', (kiln) => writeFile(kiln.state, ''), 'cannot be used as the state directory'],
    [
      'with settings that are closed to the user',
      async (kiln) => {
        await made(kiln.state, 0o700);
        await writeFile(path.join(kiln.state, 'settings.yaml'), '', { mode: 0o000 });
      },
      'settings.yaml cannot be read',
    ],
  ];
  /** Only root can make what belongs to another user. */
  const foreign: readonly Refusal[] = [
    [
      'of somebody else',
      async (kiln) => void (await mkdir(kiln.state)),
      'cannot be used as the state directory',
    ],
    [
      'with a database of somebody else',
      async (kiln) => {
        await made(kiln.state, 0o700);
        await writeFile(path.join(kiln.state, 'kiln.db'), '', { mode: 0o600 });
      },
      'kiln.db',
    ],
  ];
  test.each(AS_ORDINARY_USER.user === undefined ? closed : [...closed, ...foreign])(
    '%s',
    async (_, prepare, said) => {
      const { code, stderr, state } = await serveWith(prepare);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('[input.invalid]') });
      expect(stderr).toContain(said);
      expect(stderr).toContain(state);
    },
  );

  test('with a lock that is none', async () => {
    const { code, stderr } = await serveWith(async (kiln) => {
      await made(kiln.state, 0o700);
      const lock = path.join(kiln.state, 'lock.db');
      await writeFile(lock, 'no database '.repeat(1000));
      giveAway(lock);
    });
    expect({ code, stderr }).toEqual({ code: 70, stderr: expect.stringContaining('[store.damaged]') });
    expect(stderr).toContain('lock.db cannot be locked');
  });

  async function made(directory: string, mode: number): Promise<void> {
    await mkdir(directory);
    giveAway(directory);
    await chmod(directory, mode);
  }
});

/** What root made for the user. */
function giveAway(file: string): void {
  const { user } = AS_ORDINARY_USER;
  if (user !== undefined) execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, file]);
}
