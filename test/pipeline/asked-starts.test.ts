/** What a pipeline asks for before it is started: real repositories, at a branch, a tag or a commit. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KilnError } from '../../src/domain/errors.ts';
import type { PipelineSource } from '../../src/domain/trigger.ts';
import { Git } from '../../src/pipeline/checkout/git.ts';
import { Mirrors } from '../../src/pipeline/checkout/mirrors.ts';
import { AskedStarts } from '../../src/pipeline/triggers/asked-starts.ts';
import { GitRemote } from './git-remote.ts';

const { signal } = new AbortController();

let directory: string;
let remote: GitRemote;
let first: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-asked-'));
  remote = new GitRemote(directory, 'shop');
  first = remote.commit('first', { 'README.md': 'Nothing yet.' });
  remote.commit('second', {
    'apps/shop/kiln.yaml': 'component: storefront\nimage: {run: sleep 1}\nservice: {}\n',
    'apps/shop/pipeline.yaml': JSON.stringify({
      Parameters: [
        { name: 'count', type: 'number' },
        { name: 'level', allowed: ['stage', 'live'], default: 'stage' },
      ],
      StartAt: 'A',
      States: { A: { Type: 'Succeed' } },
    }),
    'broken/pipeline.yaml': 'StartAt: Nowhere\nStates: {A: {Type: Succeed}}\n',
  });
  remote.git('tag', 'v1');
  remote.push('main', 'v1');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const never = () => Promise.reject(new Error('nothing is started here'));

function asked(limitMs = 30_000): AskedStarts {
  const git = new Git({ searchPath: process.env.PATH ?? '', home: directory, network: {} });
  const mirrors = new Mirrors(git, path.join(directory, 'mirrors'));
  const parts = { folders: { within: never }, pipelines: { start: never, parameters: never } };
  return new AskedStarts({ mirrors, ...parts, newId: () => '1', limitMs });
}

async function failure(work: Promise<unknown>): Promise<KilnError> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof KilnError) return thrown;
  throw new Error(`it did not fail as it should: ${String(thrown)}`);
}

const shop = () => ({ repository: remote.url, directory: 'apps/shop' });

it('is told of any repository, at its HEAD, a tag, or a commit', async () => {
  for (const at of [undefined, 'main', 'v1', remote.git('rev-parse', 'HEAD').trim()]) {
    const found = await asked().ofRepository({ ...shop(), ...(at !== undefined && { at }) }, signal);
    expect(found, at).toMatchObject({
      component: 'storefront',
      parameters: [{ name: 'count' }, { name: 'level', default: 'stage' }],
    });
  }
});

it('says which of the address, the commit, the folder or the file is wrong', async () => {
  const of = (wish: object) => failure(asked().ofRepository({ ...shop(), ...wish }, signal));
  expect(await of({ repository: path.join(directory, 'none.git') })).toMatchObject({
    code: 'checkout.failed',
    retryable: true,
  });
  expect(await of({ repository: 'ftp://example.com/shop' })).toMatchObject({ code: 'input.invalid' });
  expect(await of({ at: 'v2' })).toMatchObject({
    message: `${remote.url} has no branch, tag or commit v2.`,
    faults: [{ path: 'at', found: 'v2' }],
  });
  expect(await of({ at: first })).toMatchObject({
    message: expect.stringContaining(
      `has no pipeline.yaml, microtica.yaml or kiln.yaml in apps/shop at ${first}`,
    ),
    faults: [{ path: 'directory' }],
  });
  expect(await of({ file: 'train.yaml' })).toMatchObject({ faults: [{ path: 'file' }] });
  expect(await of({ directory: '../shop' })).toMatchObject({ code: 'path.escapes' });
  expect(await of({ directory: 'broken' })).toMatchObject({
    code: 'pipeline.invalid',
    faults: expect.arrayContaining([
      expect.objectContaining({ location: { file: 'broken/pipeline.yaml', line: 1, column: 10 } }),
    ]),
  });
});

it('is not waited for beyond its deadline, whatever the remote does', async () => {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  try {
    const repository = `http://127.0.0.1:${port}/shop.git`;
    expect(await failure(asked(200).ofRepository({ repository }, signal))).toMatchObject({
      code: 'timeout',
      message: `${repository} was not read within 0.2 s.`,
    });
  } finally {
    silent.close();
  }
});

it('of a source, takes what it was registered with, and refuses every wrong parameter at once', async () => {
  const source: PipelineSource = {
    id: 'src-1',
    component: 'storefront',
    location: { kind: 'repository', url: remote.url },
    directory: 'apps/shop',
    branch: 'main',
    triggers: { schedule: [], channel: [], base: false, pipeline: [], onOpen: 'queue' },
    checkout: { submodules: true, lfs: true },
    parameters: { count: '3' },
    owner: { actor: 'alice', role: 'admin', environments: [] },
    createdAtMs: 1,
  };
  const { parameters } = await asked().ofSource(source, undefined, signal);
  expect(parameters).toMatchObject([
    { name: 'count', default: 3 },
    { name: 'level', default: 'stage' },
  ]);
  await asked().check(source, 'v1', { level: 'live' }, signal);
  const bare = { ...source, parameters: {} };
  expect(await failure(asked().check(bare, 'v1', { level: 'moon', levle: 1 }, signal))).toMatchObject({
    code: 'input.invalid',
    faults: [
      { path: 'levle', message: 'is not a parameter of this pipeline', didYouMean: 'level' },
      { path: 'count', message: 'is missing', expected: 'a number' },
      { path: 'level', message: 'is not allowed', found: '"moon"', expected: 'one of stage, live' },
    ],
  });
});
