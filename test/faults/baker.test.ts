/** The baker process: it is killed, the server is killed, it idles; nothing of it is ever left. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { BUILD_MARK } from '../../src/bakery/build-mark.ts';
import { Baker } from '../../src/bakery/bundle/baker.ts';
import { readComponent } from '../../src/component/read.ts';
import type { Digest } from '../../src/domain/ids.ts';
import type { BuildRequest } from '../../src/domain/ports/builder.ts';
import { markedProcesses } from '../../src/processes/marked-processes.ts';
import {
  digestOf,
  kilnYaml,
  listing,
  NEVER,
  SEARCH_PATH,
  scratch,
  WORKER_ENTRY,
  writeTree,
} from '../e2e/bake-fixture.ts';
import { Kiln, processesOf, until } from '../e2e/kiln.ts';
import { freePort } from '../free-port.ts';

const ENTRY = path.resolve(import.meta.dirname, '../../src/bakery/bundle/baker-main.ts');
const ROUNDS = 6;

let room: Awaited<ReturnType<typeof scratch>>;
let source: string;
let state: string;
let baker: Baker;

function open(idleMs = 60_000): Baker {
  return new Baker({
    blobs: new FileBlobStore(path.join(state, 'blobs')),
    entry: ENTRY,
    workerEntry: WORKER_ENTRY,
    threads: 2,
    idleMs,
    stateDirectory: state,
    host: { searchPath: SEARCH_PATH, network: {}, bwrap: undefined },
    arch: 'amd64',
    randomId: () => randomBytes(6).toString('hex'),
  });
}

beforeEach(async () => {
  room = await scratch();
  source = path.join(room.directory, 'shop');
  state = path.join(room.directory, 'state');
  baker = open();
  await writeTree(source, { 'kiln.yaml': kilnYaml(), 'server.js': 'x' });
});

afterEach(async () => {
  await baker.close();
  expect(await markedProcesses(BUILD_MARK, state)).toEqual([]);
  await room.remove();
});

async function request(image = ''): Promise<BuildRequest> {
  await writeTree(source, { 'kiln.yaml': kilnYaml(image) });
  return { definition: (await readComponent(source)).definition, directory: source };
}

async function built(wanted: BuildRequest): Promise<Digest> {
  await baker.plan(wanted, NEVER);
  const { artifacts } = await baker.build(wanted, () => undefined, NEVER);
  return digestOf({ artifacts });
}

/** Of this test's state directory. */
async function bakerPids(): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await markedProcesses(BUILD_MARK, state)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('baker-main')) found.push(pid);
  }
  return found;
}

async function killBaker(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const [pid] = await bakerPids();
  if (pid !== undefined) process.kill(pid, signal);
}

async function expectNoLitter(): Promise<void> {
  expect(await listing(path.join(state, 'tmp'))).toEqual([]);
  expect(await listing(path.join(state, 'blobs', 'staging'))).toEqual([]);
  expect(await markedProcesses(BUILD_MARK, `${state}#bake-`)).toEqual([]);
}

describe('kill -9 of the baker', { timeout: 120_000 }, () => {
  it('in a build step fails the bake clearly, ends the step, and leaves nothing', async () => {
    const step = `"touch ${room.directory}/began; setsid sleep 1000 & sleep 1000"`;
    const wanted = await request(`  build: ${step}\n`);
    const building = baker.build(wanted, () => undefined, NEVER);
    const failed = expect(building).rejects.toMatchObject({
      code: 'build.failed',
      retryable: true,
      message: expect.stringContaining('SIGKILL'),
      next: expect.stringContaining('memory'),
    });
    await until('the step runs', () => Promise.resolve(existsSync(path.join(room.directory, 'began'))));
    await killBaker();
    await failed;
    await expectNoLitter();
    expect(await built(await request())).toMatch(/^sha256:/);
  });

  it('at any moment of packing and unpacking leaves nothing, and the next one does it', async () => {
    for (let index = 0; index < 300; index++) {
      await writeTree(source, { [`node_modules/p${index % 30}/f${index}.js`]: 'x'.repeat(20_000 + index) });
    }
    const destination = path.join(room.directory, 'unpacked');
    let lost = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await writeTree(source, { 'server.js': `${round}` });
      const wanted = await request();
      const work = built(wanted).then((digest) => baker.unpack(digest, `${destination}-${round}`, NEVER));
      let hasEnded = false;
      const outcome = work.then(
        () => 'done',
        (error: unknown) => error,
      );
      void outcome.then(() => {
        hasEnded = true;
      });
      // One that was killed at the end of the last round may take this work and lose it at once.
      await until('the baker is there', async () => hasEnded || (await bakerPids()).length > 0);
      await sleep(Math.random() * 500);
      await killBaker();
      const ended = await outcome;
      if (ended !== 'done') {
        lost += 1;
        expect(ended).toMatchObject({ code: 'build.failed', retryable: true });
      }
      await expectNoLitter();
      const left = (await listing(room.directory)).filter((name) => name.includes('.partial-'));
      expect(left).toEqual([]);
    }
    expect(lost).toBeGreaterThan(0);
    await baker.unpack(await built(await request()), destination, NEVER);
    expect(await readFile(path.join(destination, 'server.js'), 'utf8')).toBe(`${ROUNDS - 1}`);
  });
});

describe('the baker', { timeout: 120_000 }, () => {
  it('ends some time after its last work, and comes back with the next', async () => {
    baker = open(50);
    const first = await built(await request());
    await until('it has ended', async () => (await markedProcesses(BUILD_MARK, state)).length === 0);
    expect(await built(await request())).toBe(first);
  });

  it('goes on when a signal reaches the whole group, and stops a bake that is cancelled', async () => {
    await baker.plan(await request(), NEVER);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) await killBaker(signal);
    const [pid] = await bakerPids();
    const cancelling = new AbortController();
    const wanted = await request(`  build: "touch ${room.directory}/began; sleep 1000"\n`);
    const building = baker.build(wanted, () => undefined, cancelling.signal);
    const failed = expect(building).rejects.toMatchObject({ code: 'aborted' });
    await until('the step runs', () => Promise.resolve(existsSync(path.join(room.directory, 'began'))));
    cancelling.abort();
    await failed;
    await expectNoLitter();
    expect(await bakerPids()).toEqual([pid]);
  });
});

describe('kill -9 of the server', { timeout: 120_000 }, () => {
  it('ends its baker with it; the next server sweeps what was under way', async () => {
    const kiln = await Kiln.create({ environment: { KILN_LISTEN: `127.0.0.1:${await freePort()}` } });
    try {
      await kiln.serve();
      const app = path.join(kiln.directory, 'shop');
      const step = `"touch ${room.directory}/began; setsid sleep 1000 & sleep 1000"`;
      await writeTree(app, { 'kiln.yaml': kilnYaml(`  build: ${step}\n`), 'server.js': 'x' });
      const bakers = async (): Promise<readonly unknown[]> =>
        (await processesOf(kiln.state)).filter(({ command }) => command.includes('baker.js'));
      const baking = kiln.run('bake', app);
      await until('the step runs', () => Promise.resolve(existsSync(path.join(room.directory, 'began'))));
      expect(await bakers()).toHaveLength(1);
      await kiln.kill();
      await until('the baker has ended', async () => (await bakers()).length === 0);
      await kiln.serve();
      await baking;
      expect(await markedProcesses(BUILD_MARK, `${kiln.state}#bake-`)).toEqual([]);
      expect(await listing(path.join(kiln.state, 'tmp'))).toEqual([]);
    } finally {
      await kiln.destroy();
    }
  });
});
