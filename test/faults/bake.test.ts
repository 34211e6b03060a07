import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BUILD_MARK } from '../../src/bakery/build-mark.ts';
import { sweepPartial } from '../../src/bakery/unpack.ts';
import { markedProcesses } from '../../src/processes/marked-processes.ts';
import {
  BWRAP,
  digestOf,
  type Kitchen,
  kilnYaml,
  listing,
  openKitchen,
  scratch,
  writeTree,
} from '../e2e/bake-fixture.ts';

const BAKER = path.resolve(import.meta.dirname, 'bake-worker.ts');
/** Undefined would mean the default. */
const NO_SANDBOX = '/nowhere/bwrap';
const isRoot = process.getuid?.() === 0;

let room: Awaited<ReturnType<typeof scratch>>;
let source: string;
let state: string;
let kitchen: Kitchen;

beforeEach(async () => {
  room = await scratch();
  source = path.join(room.directory, 'shop');
  state = path.join(room.directory, 'state');
  kitchen = await openKitchen(state);
  await writeTree(source, { 'kiln.yaml': kilnYaml(), 'server.js': 'x' });
});

afterEach(async () => {
  await kitchen.close();
  await room.remove();
});

/** Nothing of a bake: no image, no temporary folder, no half-written blob, no process. */
async function expectNothingLeft(): Promise<void> {
  expect((await kitchen.store.images.list({}, { limit: 10 })).items).toEqual([]);
  expect(await listing(path.join(state, 'tmp'))).toEqual([]);
  expect(await listing(path.join(state, 'blobs', 'staging'))).toEqual([]);
  expect(await markedProcesses(BUILD_MARK, state)).toEqual([]);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1500; tries++) {
    if (await condition()) return;
    await sleep(20);
  }
  throw new Error('waited in vain');
}

/** Pids of processes whose arguments hold the word. */
function processesNamed(word: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(word);
      } catch {
        return false;
      }
    })
    .map(Number);
}

describe('a build that fails', () => {
  it('leaves nothing, and shows the command with its last lines', async () => {
    await writeTree(source, { 'kiln.yaml': kilnYaml("  build: 'seq 1 50; echo broken >&2; exit 3'\n") });
    const error = await kitchen.failure(source);
    expect(error).toMatchObject({ code: 'build.failed', details: { exitCode: 3 } });
    expect(error.message).toContain('seq 1 50; echo broken');
    expect(error.message.endsWith('49\n50\nbroken')).toBe(true);
    expect(error.message).not.toContain('\n30\n');
    expect(await readFile(String(error.details.log), 'utf8')).toContain('1\n2\n3\n');
    await expectNothingLeft();
  });

  it('is not cached', async () => {
    const steps = `  build:\n    - {run: "test -e ${room.directory}/ok; echo made > made", inputs: [server.js]}\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps) });
    expect(await kitchen.failure(source)).toMatchObject({ code: 'build.failed' });
    await writeFile(path.join(room.directory, 'ok'), '');
    await kitchen.baked(source);
  });

  for (const [name, bwrap] of [
    ['in a sandbox', BWRAP],
    ['without a sandbox', undefined],
  ] as const) {
    // Both ways are the same test; where bubblewrap is absent, Debian's package is called bubblewrap.
    it.skipIf(name === 'in a sandbox' && bwrap === undefined && process.env.CI !== 'true')(
      `by its time limit, or by leaving a process, ends as a whole, ${name}`,
      async () => {
        if (name === 'in a sandbox') expect(bwrap).toBeDefined();
        await kitchen.close();
        kitchen = await openKitchen(state, bwrap ?? NO_SANDBOX);
        const word = `${Math.floor(1e6 + Math.random() * 1e6)}`;
        const run = `setsid sh -c 'setsid sleep ${word} & sleep ${word}' & sleep ${word}`;
        const steps = `  build:\n    - {run: ${JSON.stringify(run)}, timeout: 1s}\n`;
        await writeTree(source, { 'kiln.yaml': kilnYaml(steps) });
        expect(await kitchen.failure(source)).toMatchObject({ code: 'build.timeout' });
        expect(processesNamed(word)).toEqual([]);
        await expectNothingLeft();

        await writeTree(source, { 'kiln.yaml': kilnYaml(`  build: 'setsid sleep ${word} & echo done'\n`) });
        const left = await kitchen.failure(source);
        expect(left.code).toBe('build.failed');
        expect(left.message).toContain('left processes running');
        expect(processesNamed(word)).toEqual([]);
        await expectNothingLeft();

        // What ends by itself, as helpers of build tools do, is waited for.
        await writeTree(source, { 'kiln.yaml': kilnYaml("  build: 'setsid sleep 0.3 & echo done'\n") });
        await kitchen.baked(source);
      },
    );
  }

  it('by being cancelled leaves nothing', async () => {
    const word = `${Math.floor(1e6 + Math.random() * 1e6)}`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(`  build: 'sleep ${word}'\n`) });
    const { id } = await kitchen.bakery.start({ directory: source, actor: 't' });
    await until(() => processesNamed(word).length > 0);
    kitchen.bakery.cancel(id);
    const view = await kitchen.bakery.wait(id, 60_000, new AbortController().signal);
    expect(view.outcome).toMatchObject({ kind: 'failed', error: { code: 'aborted' } });
    expect(processesNamed(word)).toEqual([]);
    await expectNothingLeft();
  });
});

describe('kill -9', () => {
  it('in a build step leaves only what the next server sweeps', async () => {
    const word = `${Math.floor(1e6 + Math.random() * 1e6)}`;
    const steps = `  build: 'setsid sleep ${word} & sleep ${word}'\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps) });
    await kitchen.close();
    const baker = spawn(process.execPath, [BAKER, state, source], { stdio: 'ignore' });
    const ended = new Promise((resolve) => baker.once('exit', resolve));
    await until(() => processesNamed(word).length > 1);
    baker.kill('SIGKILL');
    await ended;
    kitchen = await openKitchen(state);
    await kitchen.bakery.sweep();
    expect(processesNamed(word)).toEqual([]);
    await expectNothingLeft();
  });

  it('at any moment leaves a store in which the next bake ends well', { timeout: 240_000 }, async () => {
    for (let index = 0; index < 400; index++) {
      await writeTree(source, { [`node_modules/p${index % 40}/f${index}.js`]: 'x'.repeat(5000 + index) });
    }
    const steps = `  build:\n    - {run: "cp server.js made.js; sleep 0.05", inputs: [server.js]}\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps) });
    await kitchen.close();
    for (let round = 0; round < 12; round++) {
      await writeTree(source, { 'server.js': `${round}` });
      const baker = spawn(process.execPath, [BAKER, state, source], { stdio: ['ignore', 'pipe', 'ignore'] });
      const ended = new Promise((resolve) => baker.once('exit', resolve));
      await Promise.race([ended, new Promise((resolve) => baker.stdout.once('data', resolve))]);
      await sleep(Math.random() * 400);
      baker.kill('SIGKILL');
      await ended;
    }
    kitchen = await openKitchen(state);
    await kitchen.bakery.sweep();
    const image = await kitchen.baked(source);
    const unpacked = await kitchen.unpack(digestOf(image));
    expect(await readFile(path.join(unpacked, 'made.js'), 'utf8')).toBe('11');
    expect(await listing(path.join(state, 'tmp'))).toEqual([]);
    expect(await listing(path.join(state, 'blobs', 'staging'))).toEqual([]);
    // Every image that was recorded is whole.
    for (const recorded of (await kitchen.store.images.list({}, { limit: 100 })).items) {
      await kitchen.unpack(digestOf(recorded));
    }
  });
});

describe('bad sources', () => {
  it('have links that lead out, directly or through others', async () => {
    for (const target of ['/etc/passwd', '../outside', 'through/../../../outside']) {
      await rm(path.join(source, 'link'), { force: true });
      await symlink('.', path.join(source, 'through')).catch(() => undefined);
      await symlink(target, path.join(source, 'link'));
      expect(await kitchen.failure(source)).toMatchObject({
        code: 'path.escapes',
        details: { path: 'link' },
      });
    }
    await writeTree(source, { 'kiln.yaml': kilnYaml('  exclude: [link]\n') });
    await kitchen.baked(source);
  });

  it('have links of the build that lead out', async () => {
    await writeTree(source, { 'kiln.yaml': kilnYaml("  build: 'ln -s /etc/passwd secret'\n") });
    expect(await kitchen.failure(source)).toMatchObject({ code: 'path.escapes' });
    await expectNothingLeft();
  });

  it('have names that are not UTF-8', async () => {
    const name = Buffer.concat([Buffer.from(`${source}/caf`), Buffer.from([0xe9])]);
    await writeFile(name, 'x');
    const error = await kitchen.failure(source);
    expect(error).toMatchObject({ code: 'input.invalid' });
    expect(error.message).toContain('not UTF-8');
    await rm(name);
  });

  it('have sockets and pipes, which are left out with a word', async () => {
    execFileSync('mkfifo', [path.join(source, 'pipe')]);
    const server = createServer().listen(path.join(source, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    await writeTree(source, { 'kiln.yaml': kilnYaml("  build: 'true'\n") });
    const unpacked = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    server.close();
    expect(await listing(unpacked)).toEqual(['kiln.yaml', 'server.js']);
    expect(kitchen.stages).toContain('skipped: pipe is a socket, pipe or device');
    expect(kitchen.stages).toContain('skipped: socket is a socket, pipe or device');
  });

  it('have files that only root may read: refused, but for root', async () => {
    await chmod(path.join(source, 'server.js'), 0o000);
    if (isRoot) {
      expect((await kitchen.baked(source)).artifacts).toHaveLength(1);
      return;
    }
    expect(await kitchen.failure(source)).toMatchObject({ code: 'input.invalid' });
  });

  it('change while they are packed: noticed, never torn', { timeout: 120_000 }, async () => {
    const file = await open(path.join(source, 'busy.bin'), 'w');
    await file.write(Buffer.alloc(60 * 1024 * 1024, 1));
    let writing = true;
    const writer = (async () => {
      while (writing) await file.write(Buffer.alloc(1, 2), 0, 1, 0);
    })();
    const error = await kitchen.failure(source);
    writing = false;
    await writer;
    await file.close();
    expect(error).toMatchObject({ code: 'source.changed', retryable: true });
    await expectNothingLeft();
    await kitchen.baked(source);
  });
});

describe('damaged blobs', () => {
  it('are never unpacked, and leave nothing', async () => {
    const image = await kitchen.baked(source);
    for (const name of await listing(path.join(state, 'blobs', 'sha256'))) {
      const file = path.join(state, 'blobs', 'sha256', name);
      if (!name.includes('/') || !(await readFile(file)).subarray(0, 4).equals(Buffer.from('app/'))) continue;
      const bytes = await readFile(file);
      bytes[600] = (bytes[600] ?? 0) ^ 1;
      await writeFile(file, bytes);
    }
    await expect(kitchen.unpack(digestOf(image))).rejects.toMatchObject({ code: 'blob.damaged' });
    expect((await listing(state)).filter((name) => name.startsWith('unpacked'))).toEqual([]);
  });

  it('are noticed in cached steps when their bytes are used', async () => {
    const cached = '{run: "echo made > made", inputs: [server.js]}';
    await writeTree(source, { 'kiln.yaml': kilnYaml(`  build:\n    - ${cached}\n`) });
    await kitchen.baked(source);
    const blobs = path.join(state, 'blobs', 'sha256');
    for (const name of await listing(blobs)) {
      const text = name.includes('/') ? await readFile(path.join(blobs, name), 'latin1') : '';
      if (text.includes('made\n'))
        await writeFile(path.join(blobs, name), text.replace('made\n', 'MADE\n'), 'latin1');
    }
    await writeTree(source, {
      'kiln.yaml': kilnYaml(`  build:\n    - ${cached}\n    - {run: "cat made > copy"}\n`),
    });
    expect(await kitchen.failure(source)).toMatchObject({ code: 'blob.damaged' });
  });

  it('that are cut off leave a partial folder only until it is swept', async () => {
    await mkdir(path.join(state, 'x.partial-0123456789ab', 'deep'), { recursive: true });
    await chmod(path.join(state, 'x.partial-0123456789ab'), 0o555);
    await sweepPartial(path.join(state, 'x'));
    expect(existsSync(path.join(state, 'x.partial-0123456789ab'))).toBe(false);
  });
});

describe('a full disk', () => {
  it.skipIf(!isRoot && process.env.CI !== 'true')('fails clearly and loses nothing', async () => {
    const small = path.join(room.directory, 'small');
    await mkdir(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small]);
    try {
      const cramped = await openKitchen(path.join(small, 'state'));
      const image = await cramped.baked(source);
      await writeFile(path.join(source, 'large.bin'), Buffer.alloc(32 * 1024 * 1024, 7));
      expect(await cramped.failure(source)).toMatchObject({ code: 'disk.full', retryable: true });
      expect(await listing(path.join(small, 'state', 'blobs', 'staging'))).toEqual([]);
      await cramped.unpack(digestOf(image));
      await rm(path.join(source, 'large.bin'));
      expect((await cramped.bake(source)).kind).toBe('unchanged');
      await cramped.close();
    } finally {
      execFileSync('umount', ['-l', small]);
    }
  });
});
