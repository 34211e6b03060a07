/** Invariant 1: an equal tree has an equal digest, whatever the path, user, umask, clock and order of its files. */
import { execFileSync } from 'node:child_process';
import { chmod, chown, cp, lutimes, mkdir, mkdtemp, readdir, rm, symlink, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { digestOf, kilnYaml, openKitchen, scratch, writeTree } from './bake-fixture.ts';

const BAKER = path.resolve(import.meta.dirname, '../faults/bake-worker.ts');
const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

let room: Awaited<ReturnType<typeof scratch>>;

beforeEach(async () => {
  room = await scratch();
  await chmod(room.directory, 0o755);
});

afterEach(() => room.remove());

const files: Readonly<Record<string, string>> = {
  'kiln.yaml': kilnYaml(),
  'server.js': 'console.log(1)\n',
  'B/upper': '1',
  'a/lower': '2',
  'a-b/between': '3',
  'näme/ünïcode-😀.txt': '4',
  [`${'long/'.repeat(60)}file.txt`]: '5',
  'node_modules/x/index.js': '6',
  'node_modules/@s/y/index.js': '7',
  'vendor/bundle/ruby/3.3.0/gems/rack-3/lib/rack.rb': '8',
};

async function plant(root: string, order: readonly string[]): Promise<void> {
  for (const file of order) await writeTree(root, { [file]: files[file] ?? '' });
  await mkdir(path.join(root, 'empty'), { recursive: true });
  await symlink('server.js', path.join(root, 'main.js'));
  await chmod(path.join(root, 'server.js'), 0o755);
}

async function bakeHere(source: string): Promise<string> {
  const state = await mkdtemp(path.join(room.directory, 'state-'));
  const kitchen = await openKitchen(state);
  try {
    return digestOf(await kitchen.baked(source));
  } finally {
    await kitchen.close();
  }
}

/** In a process of its own, by a user and with a umask and a zone of its own. */
function bakeAs(source: string, state: string, umask: string, zone: string, uid: number | undefined): string {
  const command = `umask ${umask}; exec "$0" "$@"`;
  const said = execFileSync('/bin/sh', ['-c', command, process.execPath, BAKER, state, source], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, TZ: zone, HOME: state },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  return String(JSON.parse(said.trim().split('\n').at(-1) ?? '{}').digest);
}

describe('the digest of an equal tree', () => {
  it('is equal on two paths, with files made in another order, at other times, with other modes', async () => {
    const one = path.join(room.directory, 'one');
    const two = path.join(room.directory, 'quite/another/place');
    await plant(one, Object.keys(files));
    await plant(two, Object.keys(files).toReversed());
    for (const name of await readdir(two, { recursive: true })) {
      const long = new Date(Date.UTC(1999, 1, 1) + name.length * 1000);
      await lutimes(path.join(two, name), long, long);
    }
    await utimes(two, 1, 1);
    await chmod(path.join(two, 'a/lower'), 0o600);
    await chmod(path.join(two, 'a'), 0o700);
    await chmod(path.join(two, 'server.js'), 0o700);
    expect(await bakeHere(two)).toBe(await bakeHere(one));
  });

  it('is equal under another umask and time zone', async () => {
    const source = path.join(room.directory, 'one');
    await plant(source, Object.keys(files));
    const here = await bakeHere(source);
    for (const [umask, zone] of [
      ['000', 'Asia/Tokyo'],
      ['077', 'America/New_York'],
    ] as const) {
      const state = await mkdtemp(path.join(room.directory, 'state-'));
      expect(bakeAs(source, state, umask, zone, undefined)).toBe(here);
    }
  });

  // An ordinary user cannot become another one; in CI the tests run as root.
  it.skipIf(!isRoot && process.env.CI !== 'true')('is equal for another user', async () => {
    const source = path.join(room.directory, 'one');
    await plant(source, Object.keys(files));
    const here = await bakeHere(source);
    // What nobody can reach: the code itself has to be readable by everybody.
    const reachable = await mkdtemp(path.join(tmpdir(), 'kiln-nobody-'));
    try {
      await chown(reachable, NOBODY, NOBODY);
      await cp(source, path.join(reachable, 'shop'), { recursive: true, verbatimSymlinks: true });
      execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, reachable]);
      expect(bakeAs(path.join(reachable, 'shop'), path.join(reachable, 'state'), '022', 'UTC', NOBODY)).toBe(
        here,
      );
    } finally {
      await rm(reachable, { recursive: true, force: true });
    }
  });

  it('differs when a name, a mode, a link or a byte does', async () => {
    const digests = new Set<string>();
    const source = path.join(room.directory, 'one');
    await plant(source, Object.keys(files));
    digests.add(await bakeHere(source));
    await chmod(path.join(source, 'server.js'), 0o644);
    digests.add(await bakeHere(source));
    await rm(path.join(source, 'main.js'));
    await symlink('./server.js', path.join(source, 'main.js'));
    digests.add(await bakeHere(source));
    await rm(path.join(source, 'empty'), { recursive: true });
    digests.add(await bakeHere(source));
    await writeTree(source, { 'a/lower': '3' });
    digests.add(await bakeHere(source));
    expect(digests.size).toBe(5);
  });
});
