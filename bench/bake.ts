/**
 * Measures baking a large app, side by side with BuildKit where a Docker engine answers, and prints ratios.
 *
 *   node bench/bake.ts [--tree DIR] [--rounds N]
 *
 * Without --tree it makes one by `npm install next react react-dom @aws-sdk/client-s3 express typescript`: about
 * 400 MB in 15,000 files. Cold is a bake into an empty state directory with the file cache warm; after that one line
 * of the app's own code changes each round. In-process: what the command line and HTTP add is measured elsewhere.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Bakery } from '../src/bakery/bakery.ts';
import { FileBlobStore } from '../src/bakery/blobs.ts';
import { BundleBuilder } from '../src/bakery/bundle/bundle-builder.ts';
import { WorkerPool } from '../src/bakery/bundle/worker-pool.ts';
import { readGitFacts } from '../src/bakery/git-facts.ts';
import { systemClock } from '../src/clock.ts';
import { readComponent } from '../src/component/read.ts';
import { openStore } from '../src/store/open.ts';

const run = promisify(execFile);
const PACKAGES = ['next', 'react', 'react-dom', '@aws-sdk/client-s3', 'express', 'typescript'];
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;

/** What the project promises, as parts of the peer's time. */
const GOALS = { coldOfCopyAll: 1 / 3, changeOfOrdered: 1, changeOfCopyAll: 1 / 8 };

const COPY_ALL = 'FROM scratch\nCOPY . /app\n';
const ORDERED = 'FROM scratch\nCOPY node_modules /app/node_modules\nCOPY package.json server.js /app/\n';

const { values } = parseArgs({
  options: { tree: { type: 'string' }, rounds: { type: 'string', default: '5' } },
});
const rounds = Number(values.rounds);
const room = await mkdtemp(path.join(tmpdir(), 'kiln-bench-'));
try {
  const app = await makeTree(values.tree);
  const kiln = await measureKiln(app);
  print('kiln, cold', kiln.cold);
  print('kiln, one line changed', kiln.change);
  print('kiln, nothing changed', kiln.nothing);
  const all = await measureDocker(app, 'copy-all', COPY_ALL);
  const ordered = await measureDocker(app, 'ordered', ORDERED);
  if (all === undefined || ordered === undefined) {
    console.log('No Docker engine answers: no peer to compare with (Debian: docker.io).');
  } else {
    print('docker build, COPY . /app, cold', all.cold);
    print('docker build, COPY . /app, one line changed', all.change);
    print('docker build, ordered Dockerfile, one line changed', ordered.change);
    compare('cold, of COPY . /app', kiln.cold, all.cold, GOALS.coldOfCopyAll);
    compare('one line, of an ordered Dockerfile', kiln.change, ordered.change, GOALS.changeOfOrdered);
    compare('one line, of COPY . /app', kiln.change, all.change, GOALS.changeOfCopyAll);
  }
} finally {
  await rm(room, { recursive: true, force: true });
}

interface Measured {
  readonly cold: readonly number[];
  readonly change: readonly number[];
}

async function makeTree(from: string | undefined): Promise<string> {
  const app = path.join(room, 'app');
  if (from === undefined) {
    await mkdir(app);
    await writeFile(path.join(app, 'package.json'), '{"name":"bench","version":"1.0.0"}\n');
    console.log('Installing', PACKAGES.join(' '), '…');
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES], { cwd: app });
  } else {
    await cp(from, app, { recursive: true, verbatimSymlinks: true });
  }
  await writeFile(
    path.join(app, 'server.js'),
    'require("node:http").createServer().listen(process.env.PORT);\n',
  );
  await writeFile(
    path.join(app, 'kiln.yaml'),
    'component: bench\nimage: {kind: bundle}\nservice: {run: node server.js}\n',
  );
  await writeFile(path.join(app, '.dockerignore'), 'kiln.yaml\n');
  return app;
}

async function measureKiln(app: string): Promise<Measured & { readonly nothing: readonly number[] }> {
  const cold: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++) {
    const kitchen = await openKitchen();
    cold.push(await timed(() => kitchen.bake(app)));
    await kitchen.close();
  }
  const kitchen = await openKitchen();
  await kitchen.bake(app);
  const change: number[] = [];
  const nothing: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await changeOneLine(app);
    change.push(await timed(() => kitchen.bake(app)));
    nothing.push(await timed(() => kitchen.bake(app)));
  }
  await kitchen.close();
  return { cold, change, nothing };
}

interface Kitchen {
  bake(directory: string): Promise<void>;
  close(): Promise<void>;
}

async function openKitchen(): Promise<Kitchen> {
  const state = await mkdtemp(path.join(room, 'state-'));
  const workerEntry = path.resolve(import.meta.dirname, '../src/bakery/bundle/worker.ts');
  const pool = new WorkerPool({ workerEntry, threads: availableParallelism(), idleMs: 60_000 });
  const blobs = new FileBlobStore(path.join(state, 'blobs'));
  const randomId = (): string => randomUUID();
  const host = { searchPath: process.env.PATH ?? '', network: {}, bwrap: undefined };
  const parts = {
    blobs,
    pool,
    stateDirectory: state,
    host,
    clock: systemClock,
    arch: process.arch,
    randomId,
  };
  const builder = new BundleBuilder(parts);
  const store = await openStore(
    { kind: 'sqlite', file: path.join(state, 'kiln.db') },
    { clock: systemClock },
  );
  const bakery = new Bakery({
    store,
    blobs,
    builders: [builder],
    clock: systemClock,
    stateDirectory: state,
    readDefinition: async (directory) => (await readComponent(directory)).definition,
    readGitFacts,
    cachedLayers: (sinceMs) => builder.cachedLayers(sinceMs),
    randomId,
  });
  return {
    bake: async (directory) => {
      const { id } = await bakery.start({ directory, actor: 'bench' });
      const { outcome } = await bakery.wait(id, 600_000, new AbortController().signal);
      if (outcome?.kind === 'failed') throw outcome.error;
    },
    close: async () => {
      await bakery.close();
      await store.close();
      await rm(state, { recursive: true, force: true });
    },
  };
}

/** Undefined: no engine answers. */
async function measureDocker(app: string, name: string, dockerfile: string): Promise<Measured | undefined> {
  const options = { env: { ...process.env, DOCKER_BUILDKIT: '1' }, maxBuffer: OUTPUT_LIMIT_BYTES };
  try {
    await run('docker', ['info'], options);
  } catch {
    return undefined;
  }
  const file = path.join(room, `Dockerfile.${name}`);
  await writeFile(file, dockerfile);
  const tag = `kiln-bench-${name}`;
  const build = async (): Promise<void> => {
    await run('docker', ['build', '--quiet', '--tag', tag, '--file', file, app], options);
  };
  const cold: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++) {
    await run('docker', ['builder', 'prune', '--all', '--force'], options);
    cold.push(await timed(build));
  }
  const change: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await changeOneLine(app);
    change.push(await timed(build));
  }
  await run('docker', ['image', 'rm', '--force', tag], options);
  return { cold, change };
}

async function changeOneLine(app: string): Promise<void> {
  await appendFile(path.join(app, 'server.js'), `// ${randomUUID()}\n`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function print(label: string, valuesMs: readonly number[]): void {
  const [least, most] = [Math.min(...valuesMs), Math.max(...valuesMs)].map((ms) => ms.toFixed(0));
  console.log(`${label.padEnd(52)} ${median(valuesMs).toFixed(0).padStart(6)} ms  (${least} to ${most})`);
}

function compare(label: string, ours: readonly number[], theirs: readonly number[], goal: number): void {
  const ratio = median(ours) / median(theirs);
  const verdict = ratio <= goal ? 'reached' : 'MISSED';
  console.log(`${label.padEnd(52)} ${ratio.toFixed(3).padStart(6)}     goal ${goal.toFixed(3)} ${verdict}`);
}
