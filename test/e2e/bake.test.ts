import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  digestOf,
  type Kitchen,
  kilnYaml,
  listing,
  NEVER,
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
  await writeTree(source, {
    'kiln.yaml': kilnYaml(),
    'server.js': 'console.log(1)\n',
    'node_modules/a/index.js': 'a',
    'node_modules/@s/b/index.js': 'b',
  });
});

afterEach(async () => {
  await kitchen.close();
  await room.remove();
});

function git(...argv: readonly string[]): void {
  execFileSync('git', ['-C', source, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...argv], {
    stdio: 'ignore',
  });
}

describe('a bake', () => {
  it('records an image whose content is the source, without litter, read-only', async () => {
    await writeTree(source, {
      '.git/HEAD': 'x',
      'tmp/x': 'x',
      'server.log': 'x',
      '.DS_Store': 'x',
      '.env': 'SECRET=1',
      'node_modules/tmp/index.js': 'a package of that name',
      'a/very/deep/x': 'y',
    });
    await chmod(path.join(source, 'server.js'), 0o700);
    await symlink('a/very/deep/x', path.join(source, 'link'));
    const image = await kitchen.baked(source);
    const unpacked = await kitchen.unpack(digestOf(image));
    expect(await listing(unpacked)).toEqual(
      [
        ...['a', 'a/very', 'a/very/deep', 'a/very/deep/x', 'kiln.yaml', 'link', 'server.js'],
        ...[
          'node_modules',
          'node_modules/a',
          'node_modules/a/index.js',
          'node_modules/@s',
          'node_modules/@s/b',
        ],
        ...['node_modules/@s/b/index.js', 'node_modules/tmp', 'node_modules/tmp/index.js'],
      ].toSorted(),
    );
    expect(await readlink(path.join(unpacked, 'link'))).toBe('a/very/deep/x');
    expect((await stat(path.join(unpacked, 'server.js'))).mode & 0o777).toBe(0o555);
    expect((await stat(path.join(unpacked, 'kiln.yaml'))).mode & 0o777).toBe(0o444);
    expect((await stat(path.join(unpacked, 'a'))).mode & 0o777).toBe(0o555);
    expect(image.tags).toMatchObject({ component: 'shop', version: '0.0.0', 'built-by': 'tester' });
  });

  it('is skipped when key and version exist, and says which image there is', async () => {
    const first = await kitchen.baked(source);
    expect(await kitchen.bake(source)).toMatchObject({ kind: 'unchanged', image: { id: first.id } });
  });

  it('gives a new image to an edit, though no version is set and there is no git', async () => {
    const first = await kitchen.baked(source);
    await appendFile(path.join(source, 'server.js'), '// more\n');
    const second = await kitchen.baked(source);
    expect(second.id).not.toBe(first.id);
    expect(second.version).toMatch(/^0\.0\.0\+[0-9a-f]{8}$/);
    await writeFile(path.join(source, 'server.js'), 'console.log(1)\n');
    expect(await kitchen.bake(source)).toMatchObject({ kind: 'unchanged', image: { id: first.id } });
  });

  it('refuses other contents under a version that was asked for', async () => {
    await kitchen.baked(source, { version: '1.0.0' });
    await appendFile(path.join(source, 'server.js'), '// more\n');
    expect(await kitchen.failure(source, { version: '1.0.0' })).toMatchObject({ code: 'input.conflict' });
  });

  it('makes another image of the same bytes for another version', async () => {
    const one = await kitchen.baked(source, { version: '1.0.0' });
    const two = await kitchen.baked(source, { version: '1.0.1' });
    expect(two.id).not.toBe(one.id);
    expect(digestOf(two)).toBe(digestOf(one));
    expect(kitchen.stages.some((stage) => stage.startsWith('reused'))).toBe(true);
  });

  it('takes version and tags from git, without credentials', async () => {
    git('init', '-q');
    git('add', '.');
    git('commit', '-qm', 'one');
    git('tag', 'v1.2.0');
    git('remote', 'add', 'origin', 'https://user:secret@example.com/shop.git');
    const clean = await kitchen.baked(source);
    expect(clean.version).toBe('v1.2.0');
    expect(clean.tags).toMatchObject({ 'git.dirty': 'false', repository: 'https://example.com/shop.git' });
    expect(clean.tags['git.sha']).toMatch(/^[0-9a-f]{40}$/);
    expect(Date.parse(clean.tags['git.committed-at'] ?? '')).toBeGreaterThan(0);
    await appendFile(path.join(source, 'server.js'), '// more\n');
    const dirty = await kitchen.baked(source);
    expect(dirty.version).toBe('v1.2.0-dirty');
    expect(dirty.tags['git.dirty']).toBe('true');
    expect(JSON.stringify(dirty)).not.toContain('secret');
  });

  it('notices an edit of the same size whose old time was put back', async () => {
    const first = await kitchen.baked(source);
    const file = path.join(source, 'server.js');
    const before = await stat(file);
    await writeFile(file, 'console.log(2)\n');
    await utimes(file, before.atime, before.mtime);
    const second = await kitchen.baked(source);
    expect(digestOf(second)).not.toBe(digestOf(first));
    expect(await readFile(path.join(await kitchen.unpack(digestOf(second)), 'server.js'), 'utf8')).toBe(
      'console.log(2)\n',
    );
  });

  it('notices edits in quick succession, faster than any clock tick', async () => {
    const seen = new Set<string>();
    for (const text of ['1', '2', '3', '4', '5', '6']) {
      await writeFile(path.join(source, 'server.js'), `console.log(${text})\n`);
      seen.add(digestOf(await kitchen.baked(source)));
    }
    expect(seen.size).toBe(6);
  });

  it('writes only the layer that changed', async () => {
    await kitchen.baked(source);
    await appendFile(path.join(source, 'server.js'), '// more\n');
    await kitchen.baked(source);
    const packed = kitchen.stages.find((stage) => stage.startsWith('packed'));
    expect(packed).toMatch(/^packed: 1 of \d+ layers written/);
  });

  it('reads nothing again after a restart when nothing changed', async () => {
    const first = await kitchen.baked(source);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await appendFile(path.join(source, 'other.js'), 'x');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = await kitchen.baked(source);
    await kitchen.close();
    kitchen = await openKitchen(kitchen.state);
    // Unreadable contents would fail a bake that reads: the index alone has to do.
    await rm(path.join(kitchen.state, 'cache', 'layers'), { recursive: true });
    expect(await kitchen.bake(source)).toMatchObject({ kind: 'unchanged', image: { id: second.id } });
    expect(second.id).not.toBe(first.id);
  });

  it('makes lost blobs again', async () => {
    const image = await kitchen.baked(source);
    await rm(path.join(kitchen.state, 'blobs'), { recursive: true });
    expect(await kitchen.bake(source)).toMatchObject({ kind: 'unchanged', image: { id: image.id } });
    await kitchen.unpack(digestOf(image));
  });

  it('lets two bakes of one folder run one after the other', async () => {
    const outcomes = await Promise.all([kitchen.bake(source), kitchen.bake(source), kitchen.bake(source)]);
    expect(outcomes.map((outcome) => outcome.kind).toSorted()).toEqual(['baked', 'unchanged', 'unchanged']);
  });

  it('leaves out the state directory when it stands in the source', async () => {
    const inner = await openKitchen(path.join(source, 'kept [here]'));
    await inner.baked(source);
    const unpacked = await inner.unpack(digestOf(await inner.baked(source)));
    expect(await listing(unpacked)).not.toContain('kept [here]');
    expect(await inner.bake(source)).toMatchObject({ kind: 'unchanged' });
    await inner.close();
  });

  it('counts a change of kiln.yaml though the image does not hold the file', async () => {
    await writeTree(source, { 'kiln.yaml': kilnYaml('  include: [server.js]\n') });
    const first = await kitchen.baked(source);
    const more = `${kilnYaml('  include: [server.js]\n')}migrate: node migrate.js\n`;
    await writeTree(source, { 'kiln.yaml': more });
    const second = await kitchen.baked(source);
    expect(second.id).not.toBe(first.id);
    expect(digestOf(second)).toBe(digestOf(first));
  });

  it('says that the folder or its file is missing', async () => {
    await expect(kitchen.bakery.start({ directory: '/nowhere/at/all', actor: 't' })).rejects.toMatchObject({
      code: 'not-found',
    });
    await rm(path.join(source, 'kiln.yaml'));
    expect(await kitchen.failure(source)).toMatchObject({ code: 'component-file.missing' });
  });

  it('ends waits at their time, and knows no foreign ids', async () => {
    const { id } = await kitchen.bakery.start({ directory: source, actor: 't' });
    expect((await kitchen.bakery.wait(id, 60_000, NEVER)).outcome?.kind).toBe('baked');
    expect(() => kitchen.bakery.get('bake-x' as typeof id)).toThrow(/no bake/);
  });
});

describe('a base', () => {
  it('lies beneath the component, is its parent, and is resolved when baked', async () => {
    const golden = path.join(room.directory, 'golden');
    await writeTree(golden, {
      'kiln.yaml': 'component: golden\nimage: {kind: bundle}\nservice: {run: "true"}\n',
      'lib/base.js': 'base',
      'server.js': 'overridden',
    });
    await writeTree(source, { 'kiln.yaml': kilnYaml('  base: golden@stable\n') });
    expect(await kitchen.failure(source)).toMatchObject({ code: 'not-found' });
    const base = await kitchen.baked(golden);
    const move = { component: base.component, channel: 'stable' as never, image: base.id, why: 'test' };
    await kitchen.store.channels.move(move, { actor: 't', atMs: 1 });
    const image = await kitchen.baked(source);
    expect(image.parent).toBe(base.id);
    const unpacked = await kitchen.unpack(digestOf(image));
    expect(await readFile(path.join(unpacked, 'lib/base.js'), 'utf8')).toBe('base');
    expect(await readFile(path.join(unpacked, 'server.js'), 'utf8')).toBe('console.log(1)\n');
    expect(await kitchen.bake(source, { verify: true })).toMatchObject({
      kind: 'unchanged',
      differences: [],
    });
  });
});

describe('collect', () => {
  it('deletes what no kept image stands on, and nothing else', async () => {
    const first = await kitchen.baked(source);
    await appendFile(path.join(source, 'server.js'), '// more\n');
    const second = await kitchen.baked(source);
    const collected = await kitchen.bakery.collect(new Set([digestOf(second)]));
    expect(collected.blobs).toBeGreaterThan(0);
    await kitchen.unpack(digestOf(second));
    await expect(kitchen.unpack(digestOf(first))).rejects.toMatchObject({ code: 'blob.missing' });
    await kitchen.bakery.collect(new Set());
    expect(
      (await listing(path.join(kitchen.state, 'blobs', 'sha256'))).filter((name) => name.includes('/')),
    ).toEqual([]);
  });
});
