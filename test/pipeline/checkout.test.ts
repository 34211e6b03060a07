/** Checkouts by real git, of real repositories. */
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SourceLocation } from '../../src/domain/trigger.ts';
import { Checkout } from '../../src/pipeline/checkout/checkout.ts';
import { Git, gitEnvironment } from '../../src/pipeline/checkout/git.ts';
import { Mirrors } from '../../src/pipeline/checkout/mirrors.ts';
import { remoteRefs } from '../../src/pipeline/checkout/remote-refs.ts';
import { repositoryUrl } from '../../src/pipeline/checkout/repository-url.ts';
import { folderWithin, Workspaces } from '../../src/pipeline/checkout/workspaces.ts';
import { forgetMirrors } from '../../src/pipeline/triggers/forgetting.ts';
import { GitRemote } from './git-remote.ts';

const DAY = 86_400_000;
const { signal } = new AbortController();
const OPTIONS = { submodules: true, lfs: true };

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-checkout-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function parts(name: string, searchPath = process.env.PATH ?? '') {
  const git = new Git({ searchPath, home: directory, network: {} });
  const mirrors = new Mirrors(git, path.join(directory, name, 'mirrors'));
  return {
    git,
    mirrors,
    workspaces: new Workspaces(new Checkout(mirrors), path.join(directory, name, 'checkouts')),
  };
}

describe('addresses', () => {
  it.each([
    ['https://example.com/a/b.git', 'https'],
    ['ssh://git@example.com:2222/a/b', 'ssh'],
    ['git@example.com:a/b.git', 'ssh'],
    ['file:///srv/a.git', 'file'],
    ['/srv/a.git', 'file'],
    ['http://localhost:3000/a', 'http'],
  ])('%s is reached by %s', (url, protocol) => {
    expect(repositoryUrl(url).protocol).toBe(protocol);
  });

  it.each([
    'ext::sh -c id',
    'ext::sh',
    '--upload-pack=id',
    'ssh://-oProxyCommand=id/a',
    'git@-oProxyCommand=id:a',
    'http://example.com/a',
    'https://me:secret@example.com/a',
    'file://host/a',
    'git://example.com/a',
    'a/b',
  ])('%s is refused, and what it may hold is not told', (url) => {
    expect(() => repositoryUrl(url)).toThrow(expect.objectContaining({ code: 'input.invalid' }));
    expect(() => repositoryUrl(url)).not.toThrow('secret');
  });
});

it('git asks nobody, speaks one protocol and runs no hook', () => {
  const host = { searchPath: '/bin', home: '/home/kiln', network: { https_proxy: 'http://proxy' } };
  expect(gitEnvironment(host, { protocol: 'ssh' })).toMatchObject({
    https_proxy: 'http://proxy',
    PATH: '/bin',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o ConnectTimeout=15',
    GIT_ALLOW_PROTOCOL: 'ssh',
    GIT_CONFIG_KEY_0: 'core.hooksPath',
    GIT_CONFIG_VALUE_0: '/dev/null',
  });
  expect(gitEnvironment(host, {}).GIT_ALLOW_PROTOCOL).toBe('none');
});

describe('a checkout', () => {
  it('is of the exact commit, fetches only what is new, and runs none of its hooks', async () => {
    const remote = new GitRemote(directory, 'plain');
    const first = remote.commit('first', { 'a.txt': '1', 'sub/b.txt': 'b' });
    remote.push();
    const { git, mirrors, workspaces } = parts('plain');
    expect(await remoteRefs(git, remote.url, signal)).toEqual({
      defaultBranch: 'main',
      heads: [{ ref: 'refs/heads/main', commit: first }],
    });
    const second = remote.commit('second: «ü»', { 'a.txt': '2' });
    remote.git('tag', '-a', 'v1', '-m', 'one');
    remote.push('main', 'v1');
    const into = await workspaces.make(
      'exec-1',
      { repository: remote.url, commit: second, options: OPTIONS },
      signal,
    );
    expect(await readFile(path.join(into, 'a.txt'), 'utf8')).toBe('2');
    expect(path.relative(path.join(directory, 'plain/checkouts'), into)).toBe('exec-1/plain');
    expect(await folderWithin(into, 'sub')).toBe(path.join(into, 'sub'));
    await expect(folderWithin(into, '..')).rejects.toMatchObject({ code: 'path.escapes' });
    await expect(folderWithin(into, 'none')).rejects.toMatchObject({ code: 'checkout.failed' });
    const again = { repository: remote.url, commit: first, options: { ...OPTIONS, depth: 1 } };
    await workspaces.make('exec-1', again, signal);
    expect(await readFile(path.join(into, 'a.txt'), 'utf8')).toBe('1');
    expect(await readFile(path.join(into, '.git/shallow'), 'utf8')).toContain(first);
    const mirror = await mirrors.fresh(remote.url, undefined, signal);
    expect(await mirror.resolve('v1', signal)).toBe(second);
    expect(await mirror.resolve('main', signal)).toBe(second);
    expect(await mirror.resolve('--all', signal)).toBeUndefined();
    expect(await mirror.changedPaths(first, second, 'before', signal)).toEqual(['a.txt']);
    expect(await mirror.changedPaths('0'.repeat(40), second, 'before', signal)).toBeUndefined();
    expect((await mirror.look(first, ['none.txt', 'sub/b.txt'], signal))?.texts).toEqual([undefined, 'b']);
    const tagged = await mirror.look('v1', ['a.txt'], signal);
    expect(tagged).toMatchObject({
      facts: { sha: second, author: 'Tester <tester@example.com>', message: 'second: «ü»' },
      texts: ['2'],
    });
    expect(await mirror.look(first, ['sub'], signal)).toMatchObject({ texts: [undefined] });
    expect(await mirror.look('f'.repeat(40), ['a.txt'], signal)).toBeUndefined();
    expect(await workspaces.names()).toEqual(['exec-1']);
    await workspaces.remove('exec-1');
    expect(await workspaces.isThere('exec-1')).toBe(false);
    const gone = { ...again, commit: 'f'.repeat(40) };
    await expect(workspaces.make('exec-2', gone, signal)).rejects.toMatchObject({ code: 'checkout.failed' });
  });

  it('makes a mirror anew that a crash has left unusable', async () => {
    const remote = new GitRemote(directory, 'crashed');
    const commit = remote.commit('first', { a: '1' });
    remote.push();
    const { mirrors, workspaces } = parts('crashed');
    const mirror = await mirrors.fresh(remote.url, undefined, signal);
    await rm(path.join(mirror.directory, 'objects'), { recursive: true });
    await workspaces.make('exec-1', { repository: remote.url, commit, options: OPTIONS }, signal);
    expect(await workspaces.isThere('exec-1')).toBe(true);
  });

  it('is of mirrors that are kept while they are used, or their source is registered', async () => {
    const { mirrors } = parts('forgotten');
    const mirrored = async (name: string) => {
      const remote = new GitRemote(directory, name);
      const commit = remote.commit('first', { a: '1' });
      remote.push();
      const { directory: folder } = await mirrors.fresh(remote.url, undefined, signal);
      const old = new Date(Date.now() - 31 * DAY);
      await utimes(folder, old, old);
      return { url: remote.url, commit, folder };
    };
    const [registered, used] = [
      await mirrored('registered'),
      await mirrored('used'),
      await mirrored('unused'),
    ];
    await mirrors.holding(used.url, used, undefined, signal);
    const location: SourceLocation = { kind: 'repository', url: registered.url };
    const sources = async () => [{ location }];
    const forget = () => forgetMirrors(mirrors, { sources }, Date.now() - 30 * DAY, signal);
    expect(await forget()).toBe(1);
    const left = [registered, used].map(({ folder }) => path.basename(folder));
    expect((await readdir(path.join(directory, 'forgotten/mirrors'))).toSorted()).toEqual(left.toSorted());
    expect(await forget()).toBe(0);
  });

  it('runs no hook, of a template of the user neither', async () => {
    const remote = new GitRemote(directory, 'hooked');
    const flag = path.join(directory, 'hook-ran');
    const hooks = path.join(directory, 'template/hooks');
    await mkdir(hooks, { recursive: true });
    await writeFile(path.join(hooks, 'post-checkout'), `#!/bin/sh\ntouch ${flag}\n`, { mode: 0o755 });
    await writeFile(
      path.join(directory, '.gitconfig'),
      `[init]\n\ttemplateDir = ${path.dirname(hooks)}\n[core]\n\thooksPath = ${hooks}\n`,
    );
    const commit = remote.commit('first', { a: '1' });
    remote.push();
    for (const options of [OPTIONS, { ...OPTIONS, depth: 1 }]) {
      const { workspaces } = parts('hooked');
      const into = await workspaces.make('exec-1', { repository: remote.url, commit, options }, signal);
      expect(await readdir(into)).toEqual(['.git', 'a']);
    }
    await rm(path.join(directory, '.gitconfig'));
    await expect(access(flag)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('brings submodules, unless told not to', async () => {
    const inner = new GitRemote(directory, 'inner');
    inner.commit('inner', { 'inner.txt': 'inside' });
    inner.push();
    const remote = new GitRemote(directory, 'outer');
    remote.git('submodule', '--quiet', 'add', inner.url, 'lib');
    const commit = remote.commit('outer');
    remote.push();
    const { workspaces } = parts('outer');
    const wish = { repository: remote.url, commit };
    const into = await workspaces.make('with', { ...wish, options: { ...OPTIONS, depth: 1 } }, signal);
    expect(await readFile(path.join(into, 'lib/inner.txt'), 'utf8')).toBe('inside');
    const without = await workspaces.make(
      'without',
      { ...wish, options: { ...OPTIONS, submodules: false } },
      signal,
    );
    expect(await readdir(path.join(without, 'lib'))).toEqual([]);
  });

  it('brings what Git LFS keeps, or says that git-lfs is missing', async ({ skip }) => {
    const { git } = parts('lfs');
    const isInstalled = (await git.ask({ argv: ['lfs', 'version'], limitMs: 30_000 }, signal)) !== undefined;
    if (!isInstalled && process.env.CI !== 'true') skip('git-lfs is not installed: apt-get install git-lfs');
    const remote = new GitRemote(directory, 'large');
    remote.git('lfs', 'install', '--local');
    remote.write({ '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n', 'big.bin': 'large\n' });
    const commit = remote.commit('large');
    remote.push();
    const wish = { repository: remote.url, commit };
    const into = await parts('lfs').workspaces.make('with', { ...wish, options: OPTIONS }, signal);
    expect(await readFile(path.join(into, 'big.bin'), 'utf8')).toBe('large\n');
    const bare = await withoutLfs();
    const { workspaces } = parts('no-lfs', bare);
    await expect(workspaces.make('none', { ...wish, options: OPTIONS }, signal)).rejects.toMatchObject({
      code: 'tool.missing',
      next: expect.stringContaining('apt-get install git-lfs'),
    });
    const pointer = await workspaces.make('none', { ...wish, options: { ...OPTIONS, lfs: false } }, signal);
    expect(await readFile(path.join(pointer, 'big.bin'), 'utf8')).toContain('version https://git-lfs');
  });

  it('is ended by its deadline, with all that git has started', async () => {
    const { git } = parts('slow');
    const flag = path.join(directory, 'slept');
    const settings = { 'alias.nap': `!sleep 30; touch ${flag}` };
    await expect(git.run({ argv: ['nap'], settings, limitMs: 200 }, signal)).rejects.toMatchObject({
      code: 'timeout',
    });
    const ended = AbortSignal.timeout(200);
    await expect(git.run({ argv: ['nap'], settings, limitMs: 60_000 }, ended)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});

/** A search path with the programs that git needs, and without git-lfs. */
async function withoutLfs(): Promise<string> {
  const bin = path.join(directory, 'bin');
  await mkdir(bin);
  for (const name of ['git', 'sh', 'sed', 'basename', 'cat', 'uname']) {
    const found = (process.env.PATH ?? '').split(':').map((folder) => path.join(folder, name));
    for (const file of found) {
      const isThere = await access(file).then(
        () => true,
        () => false,
      );
      if (!isThere) continue;
      await symlink(file, path.join(bin, name));
      break;
    }
  }
  return bin;
}
