/** A server whose disk fills up while it serves: each call says so, what serves serves, and with space all goes on. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { bakeShop, writeShop } from '../e2e/journey-shop.ts';
import { Kiln, startLoad } from '../e2e/kiln.ts';

const LIMIT_MS = 180_000;
const SIZE_BYTES = 24 * 1024 * 1024;
const HOST = 'shop.stage.localhost';
/** Temporary: the same call succeeds once there is space. */
const EXIT_TEMPORARY = 75;

test('a full disk', { timeout: LIMIT_MS }, async (context) => {
  const kiln = await Kiln.create();
  await mkdir(kiln.state, { mode: 0o700 });
  const args = ['-t', 'tmpfs', '-o', `size=${SIZE_BYTES}`, 'tmpfs', kiln.state];
  const mounted = spawnSync('mount', args, { encoding: 'utf8' });
  if (mounted.status !== 0) {
    await kiln.destroy();
    if (process.env.CI === 'true') throw new Error(`A tmpfs cannot be mounted: ${mounted.stderr}`);
    context.skip('a tmpfs cannot be mounted here: it takes root');
    return;
  }
  try {
    await kiln.serve();
    await bakeShop(kiln, '1.0.0', { text: 'one' });
    await kiln.json('deploy', 'shop@1.0.0', 'stage/local');
    await bakeShop(kiln, '2.0.0', { text: 'two' });
    const load = await startLoad(await kiln.routerAddress(), HOST, { connections: 4, newPerSecond: 20 });

    const ballast = path.join(kiln.state, 'ballast');
    await writeFile(ballast, Buffer.alloc(await freeBytes(kiln.state)));
    const folder = path.join(kiln.directory, 'shop');
    await writeShop(folder, { text: 'three' });
    await writeFile(path.join(folder, 'large.bin'), Buffer.alloc(1024 * 1024, 7));
    for (const verb of [
      ['bake', folder, '--version', '3.0.0'],
      ['deploy', 'shop@2.0.0', 'stage/local'],
    ]) {
      const refused = await kiln.run(...verb);
      expect({ verb, ...refused }).toMatchObject({ code: EXIT_TEMPORARY });
      expect(refused.stderr).toContain('[disk.full]');
    }
    expect((await kiln.ask(HOST)).body).toContain('one');
    // Nothing claims to be there that is not.
    const before = await kiln.json<{ items: readonly { version: string }[] }>('images', 'shop');
    expect(before.items.map(({ version }) => version)).toEqual(['2.0.0', '1.0.0']);

    await rm(ballast);
    const whole = await kiln.run('images', 'verify');
    expect(whole, whole.stderr).toMatchObject({ code: 0 });
    await kiln.json('deploy', 'shop@2.0.0', 'stage/local');
    expect((await kiln.ask(HOST)).body).toContain('two');
    await kiln.json('bake', folder, '--version', '3.0.0');
    const images = await kiln.json<{ items: readonly { version: string }[] }>('images', 'shop');
    expect(images.items.map(({ version }) => version)).toEqual(['3.0.0', '2.0.0', '1.0.0']);
    const verdict = await (await kiln.call('GET', '/api/v1/audit/verify')).json();
    expect(verdict).toEqual({ whole: true });
    expect(await readdir(path.join(kiln.state, 'blobs/staging')).catch(() => [])).toEqual([]);
    const report = await load.stop();
    expect(report.failures).toEqual({});
    expect(report.requests).toBeGreaterThan(0);
  } finally {
    await kiln.run('down');
    spawnSync('umount', ['--lazy', kiln.state]);
    await kiln.destroy();
  }
});

async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
