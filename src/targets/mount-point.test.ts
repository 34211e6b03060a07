import { execFile, execFileSync } from 'node:child_process';
import { chmod, chown, lstat, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const NOBODY = 65_534;
const run = promisify(execFile);
const images = path.join(import.meta.dirname, 'unpacked-images.ts');
const isRoot = process.getuid?.() === 0;

let image: string;

beforeEach(async () => {
  image = await mkdtemp(path.join(tmpdir(), 'kiln-mount-'));
  await mkdir(path.join(image, 'config'));
});
afterEach(async () => {
  execFileSync('chmod', ['-R', 'u+w', image]);
  await rm(image, { recursive: true, force: true });
});

/** Root may write anywhere, so the call is made as an ordinary user. */
async function makeAsUser(relative: string, kind: string): Promise<void> {
  const script = `const { makeMountPoint } = await import(${JSON.stringify(images)}); makeMountPoint(${JSON.stringify(image)}, ${JSON.stringify(relative)}, ${JSON.stringify(kind)});`;
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  await run(process.execPath, ['--input-type=module', '-e', script], { ...user, cwd: tmpdir(), env: {} });
}

describe('a mount point in an image that an ordinary user unpacked read-only', () => {
  beforeEach(async () => {
    for (const folder of [path.join(image, 'config'), image]) {
      if (isRoot) await chown(folder, NOBODY, NOBODY);
      await chmod(folder, 0o555);
    }
  });

  it('is made for a file in a folder of the image, which stays read-only', async () => {
    await makeAsUser('config/app.json', 'file');
    expect((await lstat(path.join(image, 'config/app.json'))).isFile()).toBe(true);
    expect((await lstat(path.join(image, 'config'))).mode & 0o777).toBe(0o555);
  });

  it('is made for a volume, with the folders above it', async () => {
    await makeAsUser('var/data', 'directory');
    expect((await lstat(path.join(image, 'var/data'))).isDirectory()).toBe(true);
    expect((await lstat(image)).mode & 0o777).toBe(0o555);
  });
});
