/** What a disk can do to the embedded store: be full, be damaged, hold something else. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { by } from '../contracts/store-samples.ts';
import { open } from '../contracts/store-subjects.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kiln-store-disk-'));
  file = join(directory, 'state', 'kiln.db');
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function fill(events: number): Promise<void> {
  const store = await open({ kind: 'sqlite', file });
  for (let n = 0; n < events; n += 1) {
    await store.events.append('filled', 'disk', { n, pad: 'x'.repeat(500) }, by);
  }
  await store.close();
}

describe('the database file', () => {
  it('is only for its user', async () => {
    await fill(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, 'state')).mode & 0o777).toBe(0o700);
  });

  it('whose beginning is damaged is refused, and left as it is', async () => {
    await fill(10);
    const handle = openSync(file, 'r+');
    writeSync(handle, Buffer.from('not a database at all'), 0, 21, 0);
    closeSync(handle);
    const before = readFileSync(file);
    await expect(open({ kind: 'sqlite', file })).rejects.toMatchObject({
      code: 'store.damaged',
      message: expect.stringContaining(file),
      next: expect.stringContaining('backup'),
    });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('that was cut off is refused, or its reading is', async () => {
    await fill(200);
    truncateSync(file, 40_000);
    await expect(readAll()).rejects.toMatchObject({ code: 'store.damaged' });
  });

  it('whose pages are damaged is reported by what reads them, never as fewer events', async () => {
    await fill(500);
    const handle = openSync(file, 'r+');
    const size = statSync(file).size;
    const noise = Buffer.alloc(size - 100_000, 0xa5);
    writeSync(handle, noise, 0, noise.length, 100_000);
    closeSync(handle);
    await expect(readAll()).rejects.toMatchObject({ code: 'store.damaged' });
  });

  it('of another program is refused before anything is written to it', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    mkdirSync(join(directory, 'state'));
    const other = new DatabaseSync(file);
    other.exec('create table recipes (name text)');
    other.close();
    const before = readFileSync(file);
    await expect(open({ kind: 'sqlite', file })).rejects.toMatchObject({ code: 'input.invalid' });
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('that cannot be made says so', async () => {
    writeFileSync(join(directory, 'state'), 'a file, not a directory');
    await expect(open({ kind: 'sqlite', file })).rejects.toMatchObject({
      code: 'input.invalid',
      next: expect.stringContaining('directory'),
    });
  });
});

async function readAll(): Promise<void> {
  const store = await open({ kind: 'sqlite', file });
  try {
    await store.events.after(0, 10_000);
  } finally {
    await store.close();
  }
}

/** A file system of this size, or why there is none. */
function mountTmpfs(at: string, sizeBytes: number): string | undefined {
  mkdirSync(at, { recursive: true });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', at], {
    encoding: 'utf8',
  });
  return mounted.status === 0 ? undefined : (mounted.error?.message ?? mounted.stderr.trim());
}

describe('a full disk', () => {
  it('refuses writes, loses nothing acknowledged, and takes writes again once there is space', async (test) => {
    const disk = join(directory, 'disk');
    const refused = mountTmpfs(disk, 2_000_000);
    if (refused !== undefined) {
      if (process.env.CI === 'true') throw new Error(`A tmpfs cannot be mounted: ${refused}`);
      test.skip(`a tmpfs cannot be mounted here (it takes root): ${refused}`);
      return;
    }
    try {
      writeFileSync(join(disk, 'ballast'), Buffer.alloc(600_000));
      file = join(disk, 'kiln.db');
      const store = await open({ kind: 'sqlite', file });
      let acknowledged = 0;
      const append = () => store.events.append('filled', 'disk', { pad: 'x'.repeat(2000) }, by);
      await expect(
        (async () => {
          for (; acknowledged < 10_000; acknowledged += 1) await append();
        })(),
      ).rejects.toMatchObject({ code: 'disk.full', retryable: true });
      expect(acknowledged).toBeGreaterThan(10);
      await expect(append()).rejects.toMatchObject({ code: 'disk.full' });
      expect(await store.events.after(0, 10_000)).toHaveLength(acknowledged);
      rmSync(join(disk, 'ballast'));
      expect(await append()).toBe(acknowledged + 1);
      await store.close();
      const again = await open({ kind: 'sqlite', file });
      expect(await again.events.after(0, 10_000)).toHaveLength(acknowledged + 1);
      await again.close();
    } finally {
      spawnSync('umount', ['--lazy', disk]);
    }
  });
});
