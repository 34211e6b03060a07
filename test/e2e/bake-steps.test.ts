import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  BWRAP,
  digestOf,
  type Kitchen,
  kilnYaml,
  listing,
  openKitchen,
  scratch,
  writeTree,
} from './bake-fixture.ts';

let room: Awaited<ReturnType<typeof scratch>>;
let source: string;
let kitchen: Kitchen;

beforeEach(async () => {
  room = await scratch();
  source = path.join(room.directory, 'shop');
  kitchen = await openKitchen(path.join(room.directory, 'state'));
});

afterEach(async () => {
  await kitchen.close();
  await room.remove();
});

/** Counts its runs in a folder that the sandbox does not hide. */
function countingStep(counter: string): string {
  return `echo run >> ${counter}; mkdir -p node_modules/dep; cp lock.json node_modules/dep/lock.json; ls -A > node_modules/seen`;
}

async function runs(counter: string): Promise<number> {
  return (await readFile(counter, 'utf8')).split('\n').length - 1;
}

describe('a step that names its inputs', () => {
  it('sees only these, and runs again only when they change', async () => {
    const counter = path.join(room.directory, 'counter');
    const steps = `  build:\n    - run: ${JSON.stringify(countingStep(counter))}\n      inputs: [lock.json]\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'lock.json': '1', 'server.js': 'x' });
    const first = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await readFile(path.join(first, 'node_modules/seen'), 'utf8')).toBe('lock.json\nnode_modules\n');

    await appendFile(path.join(source, 'server.js'), 'y');
    const second = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await runs(counter)).toBe(1);
    expect(kitchen.stages.some((stage) => stage.startsWith('cached'))).toBe(true);
    expect(await readFile(path.join(second, 'server.js'), 'utf8')).toBe('xy');
    expect(await readFile(path.join(second, 'node_modules/dep/lock.json'), 'utf8')).toBe('1');

    await kitchen.close();
    kitchen = await openKitchen(kitchen.state);
    await appendFile(path.join(source, 'server.js'), 'z');
    await kitchen.baked(source);
    expect(await runs(counter)).toBe(1);

    await writeFile(path.join(source, 'lock.json'), '2');
    const third = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await runs(counter)).toBe(2);
    expect(await readFile(path.join(third, 'node_modules/dep/lock.json'), 'utf8')).toBe('2');
  });

  it('is followed by steps that see what it made, and the whole source', async () => {
    const steps = [
      '  build:',
      '    - {run: "echo dep > made.txt", inputs: [lock.json]}',
      '    - {run: "cat made.txt server.js > dist.txt; rm made.txt"}',
      '',
    ].join('\n');
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'lock.json': '1', 'server.js': 'app\n' });
    const image = await kitchen.baked(source);
    const unpacked = await kitchen.unpack(digestOf(image));
    expect(await readFile(path.join(unpacked, 'dist.txt'), 'utf8')).toBe('dep\napp\n');
    expect(await listing(unpacked)).toEqual(['dist.txt', 'kiln.yaml', 'lock.json', 'server.js']);
  });

  it('may be a plain npm ci, known without being told', async () => {
    const lock = {
      name: 'shop',
      version: '1.0.0',
      lockfileVersion: 3,
      packages: { '': { name: 'shop', version: '1.0.0' } },
    };
    await writeTree(source, {
      'kiln.yaml': kilnYaml('  build: npm ci --omit=dev && node make.js\n'),
      'package.json': '{"name":"shop","version":"1.0.0"}',
      'package-lock.json': JSON.stringify(lock),
      'make.js': "require('node:fs').writeFileSync('made', 'by node')",
    });
    const first = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await readFile(path.join(first, 'made'), 'utf8')).toBe('by node');
    expect(kitchen.stages).toContain('build: npm ci --omit=dev');
    await writeTree(source, { 'server.js': 'x' });
    await kitchen.baked(source);
    expect(kitchen.stages).toContain('cached: npm ci --omit=dev');
    expect(kitchen.stages).not.toContain('build: npm ci --omit=dev');
    expect(kitchen.stages).toContain('build: node make.js');
  });

  it('keeps its layers when blobs are collected', async () => {
    const counter = path.join(room.directory, 'counter');
    const steps = `  build:\n    - run: ${JSON.stringify(countingStep(counter))}\n      inputs: [lock.json]\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'lock.json': '1' });
    await kitchen.baked(source);
    await kitchen.bakery.collect(new Set());
    await writeTree(source, { 'server.js': 'x' });
    await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await runs(counter)).toBe(1);
  });
});

describe('a build', () => {
  it('never touches the source, nor sees .git, the state or the environment of the server', async () => {
    process.env.KILN_TEST_LEAK = 'leaked';
    const steps = `  build: 'echo changed > server.js; ls -A > seen; env > environment; ls -A ${kitchen.state} > state || true'\n  environment: {NAMED: "yes"}\n`;
    await writeTree(source, {
      'kiln.yaml': kilnYaml(steps),
      'server.js': 'mine',
      '.git/HEAD': 'x',
      '.gitignore': 'y',
    });
    await mkdir(path.join(source, 'empty'));
    const unpacked = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    delete process.env.KILN_TEST_LEAK;
    expect(await readFile(path.join(source, 'server.js'), 'utf8')).toBe('mine');
    expect(await readFile(path.join(unpacked, 'server.js'), 'utf8')).toBe('changed\n');
    expect(await readFile(path.join(unpacked, 'seen'), 'utf8')).toBe(
      '.gitignore\nempty\nkiln.yaml\nseen\nserver.js\n',
    );
    const environment = await readFile(path.join(unpacked, 'environment'), 'utf8');
    expect(environment).toContain('NAMED=yes');
    expect(environment).not.toContain('leaked');
    if (BWRAP !== undefined) expect(await readFile(path.join(unpacked, 'state'), 'utf8')).toBe('build\n');
  });

  it('does not take from the source what a step makes', async () => {
    const steps = `  build:\n    - {run: "mkdir -p dist; echo new > dist/new", outputs: [dist]}\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'dist/old': 'stale', 'server.js': 'x' });
    const unpacked = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await listing(path.join(unpacked, 'dist'))).toEqual(['new']);
  });

  it('may use what the image then excludes, and leaves no litter in it', async () => {
    const steps = `  build: 'cat src/main.c > app.bin; mkdir -p .cache; echo x > .cache/x; echo l > build.log'\n  exclude: [src]\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'src/main.c': 'int main' });
    const unpacked = await kitchen.unpack(digestOf(await kitchen.baked(source)));
    expect(await listing(unpacked)).toEqual(['app.bin', 'kiln.yaml']);
  });

  it('has its environment in the input key', async () => {
    const yaml = (value: string): string =>
      kilnYaml(`  build: 'echo $MODE > mode'\n  environment: {MODE: ${value}}\n`);
    await writeTree(source, { 'kiln.yaml': yaml('one'), 'server.js': 'x' });
    const one = await kitchen.baked(source);
    await writeTree(source, { 'kiln.yaml': yaml('two') });
    const two = await kitchen.baked(source);
    expect(two.inputKey).not.toBe(one.inputKey);
  });

  it('is verified by building again: every file that differs is named', async () => {
    const counter = path.join(room.directory, 'counter');
    const steps = `  build: 'echo run >> ${counter}; cp ${counter} impure; echo always > pure; test $(wc -l < ${counter}) = 1 || { echo > new; chmod +x pure; }'\n`;
    await writeTree(source, { 'kiln.yaml': kilnYaml(steps), 'server.js': 'x' });
    const outcome = await kitchen.bake(source, { verify: true });
    expect(outcome).toMatchObject({
      kind: 'baked',
      differences: [
        { path: 'impure', change: 'content' },
        { path: 'new', change: 'added' },
        { path: 'pure', change: 'mode' },
      ],
    });
    expect(await listing(path.join(kitchen.state, 'tmp'))).toEqual([]);
  });
});
