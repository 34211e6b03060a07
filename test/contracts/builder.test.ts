/** What every builder must do, run against each, and what containers do beyond it. */
import { execFileSync } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { BundleBuilder } from '../../src/bakery/bundle/bundle-builder.ts';
import { WorkerPool } from '../../src/bakery/bundle/worker-pool.ts';
import { containerArchive } from '../../src/bakery/container/container-archive.ts';
import { ContainerBuilder } from '../../src/bakery/container/container-builder.ts';
import { MachineBuilder } from '../../src/bakery/machine/machine-builder.ts';
import { storeMachineFile } from '../../src/bakery/machine/stored-files.ts';
import { artifactKind, readManifest } from '../../src/bakery/oci-layout.ts';
import { readComponent } from '../../src/component/read.ts';
import { outputLines } from '../../src/docker/container-output.ts';
import { EngineClient, filters } from '../../src/docker/engine-client.ts';
import { componentName, type Digest, type ImageId } from '../../src/domain/ids.ts';
import { storedDigest } from '../../src/domain/image.ts';
import type {
  Builder,
  BuildProgress,
  BuildRequest,
  BuildResult,
  ResolvedBase,
} from '../../src/domain/ports/builder.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER, shellImage } from '../docker.ts';
import { NEVER, SEARCH_PATH, scratch, WORKER_ENTRY, writeTree } from '../e2e/bake-fixture.ts';
import { missingTool } from '../machine/machine-fixture.ts';
import { type PlainEngine, plainEngine } from '../plain-engine.ts';
import { writeSmallRoot } from '../scan/small-root.ts';

interface Variant {
  readonly title: string;
  readonly name: 'bundle' | 'container' | 'machine';
  /** What its components stand on, put where blobs are kept. */
  base?(blobs: FileBlobStore): Promise<ResolvedBase>;
  open(state: string, blobs: FileBlobStore): Builder | Promise<Builder>;
  /** Files of a component whose build writes the content of `input` to `output`. */
  files(): Promise<Readonly<Record<string, string>>>;
  /** What makes the build fail, or never end. */
  broken(command: string): Promise<Readonly<Record<string, string>>>;
}

/** Of this test process alone: images are found by it in an engine that others use too. */
const COMPONENT = componentName(`built-${process.pid}`);

const BUNDLE: Variant = {
  title: 'bundle',
  name: 'bundle',
  open: (state, blobs) =>
    new BundleBuilder({
      blobs,
      pool: new WorkerPool({ workerEntry: WORKER_ENTRY, threads: 1, idleMs: 60_000 }),
      stateDirectory: state,
      host: { searchPath: SEARCH_PATH, network: {}, bwrap: undefined },
      clock: systemClock,
      arch: 'amd64',
      randomId: () => crypto.randomUUID(),
    }),
  files: async () => ({ 'kiln.yaml': bundleYaml('cat input > output'), input: 'one' }),
  broken: async (command) => ({ 'kiln.yaml': bundleYaml(command), input: 'one' }),
};

const CONTAINER: Variant = {
  title: 'container',
  name: 'container',
  open: (state, blobs) => containerBuilder(state, blobs, DOCKER_SOCKET),
  files: () => dockerfileFiles('cat input > output'),
  broken: (command) => dockerfileFiles(command),
};

let withoutBuildKit: PlainEngine | undefined;
afterAll(() => withoutBuildKit?.close());

const CLASSIC: Variant = {
  ...CONTAINER,
  title: 'container, without BuildKit',
  open: async (state, blobs) => {
    withoutBuildKit ??= await plainEngine();
    return containerBuilder(state, blobs, withoutBuildKit.socketPath);
  },
};

function containerBuilder(state: string, blobs: FileBlobStore, socket: string): Builder {
  return new ContainerBuilder({
    client: new EngineClient(socket),
    blobs,
    stateDirectory: state,
    randomId: () => crypto.randomUUID(),
    grants: { secretsFolder: undefined, sshAgent: undefined },
  });
}

function bundleYaml(command: string): string {
  return `component: ${COMPONENT}\nimage: {kind: bundle, build: ${JSON.stringify(command)}}\nservice: {run: ./run}\n`;
}

async function dockerfileFiles(command: string): Promise<Readonly<Record<string, string>>> {
  return {
    'kiln.yaml': `component: ${COMPONENT}\nimage: {kind: container}\nservice: {run: ./run}\n`,
    Dockerfile: `FROM ${await shellImage()}\nWORKDIR /app\nCOPY . .\nRUN ${command}\n`,
    '.dockerignore': 'ignored\n*.log\n!kept.log\n',
    input: 'one',
  };
}

const MACHINE: Variant = {
  title: 'machine',
  name: 'machine',
  base: async (blobs) => {
    const file = await smallFoundation();
    const artifact = await storeMachineFile(blobs, { file, form: 'rootfs', arch: 'amd64' }, NEVER);
    return { image: 'image-foundation' as ImageId, artifacts: [artifact] };
  },
  open: (state, blobs) =>
    new MachineBuilder({
      blobs,
      stateDirectory: state,
      host: {
        searchPath: MACHINE_PATH,
        network: {},
        environment: {},
        secrets: {},
        amazonEndpoint: undefined,
      },
      clock: systemClock,
      arch: 'amd64',
      isRoot: process.getuid?.() === 0,
      randomId: () => crypto.randomUUID(),
    }),
  files: async () => machineFiles('cat /run/kiln/source/input >/output'),
  broken: async (command) => machineFiles(command),
};

const MACHINE_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin';
let foundationFolder: string | undefined;
afterAll(() => foundationFolder && rm(foundationFolder, { recursive: true, force: true }));

/** Archive of a root filesystem with a shell and little else; made once. */
async function smallFoundation(): Promise<string> {
  if (foundationFolder === undefined) {
    foundationFolder = await mkdtemp(path.join(tmpdir(), 'kiln-foundation-'));
    await writeSmallRoot(path.join(foundationFolder, 'root'), ['sh', 'cat', 'sleep']);
    execFileSync('tar', [
      '-C',
      path.join(foundationFolder, 'root'),
      '-cf',
      `${foundationFolder}/root.tar`,
      '.',
    ]);
  }
  return path.join(foundationFolder, 'root.tar');
}

function machineFiles(command: string): Readonly<Record<string, string>> {
  const steps = `[{run: ${JSON.stringify(command)}}]`;
  return {
    'kiln.yaml': `component: ${COMPONENT}\nimage: {kind: machine, machine: {builder: chroot, source: foundation@golden, provisioners: ${steps}}}\nservice: {run: ./run}\n`,
    input: 'one',
  };
}

let place: Awaited<ReturnType<typeof scratch>>;
let base: ResolvedBase | undefined;
/** Blobs that were there before. */
let blobsBefore: readonly Digest[];
let blobs: FileBlobStore;
let builder: Builder;
let source: string;

function setUp(variant: Variant): void {
  beforeEach(async () => {
    place = await scratch();
    source = path.join(place.directory, 'source');
    const state = path.join(place.directory, 'state');
    blobs = new FileBlobStore(path.join(state, 'blobs'));
    base = await variant.base?.(blobs);
    blobsBefore = await all(blobs.list());
    builder = await variant.open(state, blobs);
    await writeTree(source, await variant.files());
  });
  afterEach(async () => {
    await builder.close();
    if (variant.name === 'container') await removeImages();
    await place.remove();
  });
}

async function request(directory = source): Promise<BuildRequest> {
  const { definition } = await readComponent(directory);
  return { definition, directory, ...(base === undefined ? {} : { base }) };
}

async function keyOf(directory = source): Promise<string> {
  return (await builder.plan(await request(directory), NEVER)).inputKey;
}

const quiet = (): void => {};

if (!dockerAnswers) test.skip(`container: ${NO_DOCKER}`);
const noMachine = missingTool({ bwrap: 'bubblewrap', setpriv: 'util-linux' });
if (noMachine !== undefined) test.skip(`machine: ${noMachine}`);

const VARIANTS = [
  BUNDLE,
  ...(dockerAnswers ? [CONTAINER, CLASSIC] : []),
  ...(noMachine === undefined ? [MACHINE] : []),
];

describe.for(VARIANTS)('$title', { timeout: 120_000 }, (variant) => {
  setUp(variant);

  test('equal trees have equal keys wherever they are; another input is another key', async () => {
    const key = await keyOf();
    expect(await keyOf()).toBe(key);
    const copy = path.join(place.directory, 'elsewhere');
    await cp(source, copy, { recursive: true });
    await utimes(path.join(copy, 'input'), 1, 1);
    expect(await keyOf(copy)).toBe(key);
    await writeTree(source, { input: 'two' });
    const two = await keyOf();
    expect(two).not.toBe(key);
    await chmod(path.join(source, 'input'), 0o755);
    expect(await keyOf()).not.toBe(two);
  });

  test('what it makes is whole, is of its kind and of the planned key, and building again differs in nothing', async () => {
    const wanted = await request();
    const seen: BuildProgress[] = [];
    const { inputKey } = await builder.plan(wanted, NEVER);
    const made = await builder.build(wanted, (progress) => seen.push(progress), NEVER);
    expect(made.inputKey).toBe(inputKey);
    const [artifact] = made.artifacts;
    if (artifact === undefined) throw new Error('one artifact is made');
    expect(artifact).toMatchObject({ kind: variant.name, provider: 'local' });
    expect(await artifactKind(blobs, storedDigest(artifact))).toBe(variant.name);
    expect(seen.length).toBeGreaterThan(0);
    expect(await builder.isWhole(artifact, NEVER)).toBe(true);
    expect(await builder.verify(await request(), artifact, quiet, NEVER)).toEqual([]);
    const { layers } = await readManifest(blobs, storedDigest(artifact));
    const last = layers.at(-1);
    if (last === undefined) throw new Error('there is a layer');
    await blobs.delete(last.digest);
    expect(await builder.isWhole(artifact, NEVER)).toBe(false);
  });

  test('a build that fails says why, and leaves nothing', async () => {
    await writeTree(source, await variant.broken('echo about to fail; exit 3'));
    const seen: string[] = [];
    const building = builder.build(
      await request(),
      (progress) => seen.push(progress.kind === 'output' ? progress.line : progress.name),
      NEVER,
    );
    await expect(building).rejects.toMatchObject({ code: 'build.failed' });
    expect(seen).toContain('about to fail');
    await expectNothingLeft();
  });

  test('a build that is cancelled ends, and leaves nothing', async () => {
    await writeTree(source, await variant.broken('echo begun; sleep 600'));
    const cancel = new AbortController();
    const building = builder.build(
      await request(),
      (progress) => {
        if (progress.kind === 'output' && progress.line === 'begun') cancel.abort(new Error('enough'));
      },
      cancel.signal,
    );
    await expect(building).rejects.toThrow();
    await expectNothingLeft();
  });

  async function expectNothingLeft(): Promise<void> {
    const state = path.join(place.directory, 'state');
    expect(await readdir(path.join(state, 'tmp'))).toEqual([]);
    expect(await all(blobs.list())).toEqual(blobsBefore);
    if (variant.name === 'container') expect(await imagesOf(true)).toEqual([]);
  }
});

describe.runIf(dockerAnswers)('containers', { timeout: 120_000 }, () => {
  setUp(CONTAINER);

  test('the context is what .dockerignore leaves, arguments and stages count, and the engine can load what was kept', async () => {
    const runtime = await shellImage();
    await writeTree(source, {
      'kiln.yaml': `component: ${COMPONENT}\nimage:\n  kind: container\n  container: {dockerfile: build/Dockerfile, stage: app, args: {WORD: hello, BASE: "${runtime}"}}\nservice: {run: ./run}\n`,
      'build/Dockerfile':
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the Dockerfile's own
        'ARG BASE=unknown\nFROM ${BASE} AS app\nARG WORD\nWORKDIR /app\nCOPY . .\nRUN ls -A > listing; echo $WORD\nFROM app\nRUN exit 1\n',
      ignored: 'x',
      'a.log': 'x',
      'kept.log': 'x',
      '.git/HEAD': 'x',
    });
    const key = await keyOf();
    await writeTree(source, { ignored: 'y', '.git/HEAD': 'y' });
    expect(await keyOf()).toBe(key);
    const output: string[] = [];
    const { artifacts } = await builder.build(
      await request(),
      (progress) => output.push(progress.kind === 'output' ? progress.line : ''),
      NEVER,
    );
    expect(output).toContain('hello');
    const [artifact] = artifacts;
    if (artifact === undefined) throw new Error('one artifact is made');
    expect(artifact.arch).toBe(process.arch === 'x64' ? 'amd64' : process.arch);

    // From the blobs alone: the engine has forgotten it.
    await removeImages();
    const name = `kiln-test-${COMPONENT}:loaded`;
    const engine = new EngineClient(DOCKER_SOCKET);
    try {
      const body = await containerArchive(blobs, storedDigest(artifact), name, NEVER);
      await engine.send({ method: 'POST', path: '/images/load', body, signal: NEVER });
      const image = z.object({ Config: z.object({ WorkingDir: z.string() }) });
      const found = await engine.json(image, { method: 'GET', path: `/images/${name}/json`, signal: NEVER });
      expect(found.Config.WorkingDir).toBe('/app');
      expect(await listing(engine, name)).toEqual(
        [
          '.dockerignore',
          'build',
          'input',
          'kept.log',
          'kiln.yaml',
          'listing',
          'Dockerfile',
          'Dockerfile',
        ].sort(),
      );
      await engine.send({ method: 'DELETE', path: `/images/${name}`, signal: NEVER });
    } finally {
      engine.close();
    }
  });

  test('a base that is a component is its artifact; what the engine lacks, and what is not granted, is refused', async () => {
    const based = await builder.build(await request(), quiet, NEVER);
    const child = path.join(place.directory, 'child');
    const yaml = `component: ${COMPONENT}\nimage: {kind: container, base: parent@golden}\nservice: {run: ./run}\n`;
    await writeTree(child, {
      'kiln.yaml': yaml,
      Dockerfile: 'FROM parent@golden\nRUN cat /app/output; echo\n',
    });
    const base = { image: 'image-parent' as ImageId, artifacts: based.artifacts };
    const output: string[] = [];
    const made = await builder.build(
      { ...(await request(child)), base },
      (progress) => output.push(progress.kind === 'output' ? progress.line : ''),
      NEVER,
    );
    expect(output).toContain('one');
    expect(await layersOf(made)).toEqual(expect.arrayContaining([...(await layersOf(based))]));
    await expect(builder.plan(await request(child), NEVER)).rejects.toMatchObject({ code: 'input.invalid' });

    for (const [dockerfile, code] of [
      ['FROM no-such-image:1\n', 'input.invalid'],
      ['FROM scratch\nRUN --mount=type=secret,id=npm cat /run/secrets/npm\n', 'input.invalid'],
      ['FROM scratch\nRUN --mount=id=x,type=ssh true\n', 'input.invalid'],
    ] as const) {
      await writeTree(child, { Dockerfile: dockerfile });
      await expect(builder.plan(await request(child), NEVER)).rejects.toMatchObject({ code });
    }
    await rm(path.join(child, 'Dockerfile'));
    await expect(builder.plan(await request(child), NEVER)).rejects.toThrow('There is no Dockerfile');
  });
});

async function layersOf({ artifacts }: BuildResult): Promise<readonly Digest[]> {
  const found = await Promise.all(artifacts.map((one) => readManifest(blobs, storedDigest(one))));
  return found.flatMap(({ layers }) => layers.map((layer) => layer.digest));
}

async function all<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Files of /app in the image, as the engine shows them of a container that never ran. */
async function listing(engine: EngineClient, image: string): Promise<readonly string[]> {
  const name = `kiln-test-listing-${process.pid}`;
  const body = { Image: image, Entrypoint: ['/bin/ls', '-AR', '/app'] };
  await engine.send({ method: 'POST', path: '/containers/create', query: { name }, body, signal: NEVER });
  try {
    await engine.send({ method: 'POST', path: `/containers/${name}/start`, signal: NEVER });
    await engine.send({ method: 'POST', path: `/containers/${name}/wait`, signal: NEVER });
    const query = { stdout: '1', stderr: '1' };
    const log = await engine.open({ method: 'GET', path: `/containers/${name}/logs`, query, signal: NEVER });
    const lines = await all(outputLines(log));
    return lines.filter((line) => line !== '' && !line.endsWith(':')).sort();
  } finally {
    await engine.send({
      method: 'DELETE',
      path: `/containers/${name}`,
      query: { force: '1' },
      signal: NEVER,
    });
  }
}

const imagesShape = z.array(z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullable() }));

async function imagesOf(dangling: boolean): Promise<readonly string[]> {
  const engine = new EngineClient(DOCKER_SOCKET);
  try {
    const query = filters({
      label: [`kiln.build=${COMPONENT}`],
      ...(dangling ? { dangling: ['true'] } : {}),
    });
    const found = await engine.json(imagesShape, {
      method: 'GET',
      path: '/images/json',
      query,
      signal: NEVER,
    });
    return found.flatMap(({ Id, RepoTags }) => (dangling || RepoTags === null ? [Id] : RepoTags));
  } finally {
    engine.close();
  }
}

async function removeImages(): Promise<void> {
  const names = await imagesOf(false);
  const engine = new EngineClient(DOCKER_SOCKET);
  try {
    for (const name of names) {
      await engine.send({
        method: 'DELETE',
        path: `/images/${encodeURIComponent(name)}`,
        query: { force: '1' },
        signal: NEVER,
      });
    }
  } finally {
    engine.close();
  }
}
