/** From a push to a real git remote to live traffic: told by a hook, found by looking, over a server that was down. */
import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GitRemote } from '../pipeline/git-remote.ts';
import { Kiln, until } from './kiln.ts';

interface Source {
  readonly id: string;
}
interface Happened {
  readonly kind: string;
  readonly outcome?: {
    readonly kind: string;
    readonly execution?: string;
    readonly why?: string;
    readonly message?: string;
  };
}
interface Execution {
  readonly status: string;
  readonly input: {
    readonly trigger: {
      readonly kind: string;
      readonly by: string;
      readonly source: { readonly location: string };
    };
    readonly commit: { readonly sha: string; readonly branch: string; readonly message: string };
  };
  readonly error?: string;
  readonly cause?: string;
}

const PIPELINE = `
Triggers:
  push: {branches: [main], paths: ['**', '!**/*.md']}
StartAt: Bake
States:
  Bake:
    Type: Task
    Resource: bake
    Parameters: {directory.$: $.trigger.source.location}
    ResultPath: $.image
    Next: Check
  Check: {Type: Task, Resource: check, Parameters: {image.$: $.image.id}, ResultPath: null, Next: Proven}
  Proven: {Type: Task, Resource: promote, Parameters: {image.$: $.image.id, channel: proven}, ResultPath: null, Next: Live}
  Live:
    Type: Task
    Resource: deploy
    Parameters: {component: storefront, environment: live/local, image.$: $.image.id}
    End: true
`;

let kiln: Kiln;
let remote: GitRemote;
let source: Source;
beforeAll(async () => {
  kiln = await Kiln.create();
  await kiln.serve();
  remote = new GitRemote(kiln.directory, 'shop', await kiln.example('storefront'));
  remote.commit('the shop', { 'pipeline.yaml': PIPELINE });
  remote.push();
  source = await kiln.json<Source>('pipeline', 'watch', remote.bare, '--poll', '1s');
});
afterAll(() => kiln.destroy());

const happened = async (): Promise<readonly Happened[]> =>
  (await kiln.json<{ items: readonly Happened[] }>('pipeline', 'events', source.id)).items;

/** What came of the newest push. */
async function settled(count: number): Promise<Happened> {
  await until(`${count} events are settled`, async () => {
    const events = await happened();
    return events.length >= count && events.every(({ outcome }) => outcome !== undefined);
  });
  const [newest] = await happened();
  if (newest === undefined) throw new Error('nothing happened');
  return newest;
}

async function ended({ outcome }: Happened): Promise<Execution> {
  const id = outcome?.execution;
  if (id === undefined) throw new Error(`it started nothing: ${outcome?.why ?? outcome?.message}`);
  let execution = await kiln.json<Execution>('pipeline', 'show', id);
  await until(`${id} has ended`, async () => {
    execution = await kiln.json<Execution>('pipeline', 'show', id);
    return !['PENDING', 'RUNNING'].includes(execution.status);
  });
  return execution;
}

const folders = () => readdir(path.join(kiln.state, 'pipelines/checkouts'));

it('a push is live, told by the hook; what it names is what was built, and its folder is gone', async () => {
  await kiln.json('pipeline', 'hook', source.id, remote.bare);
  const page = 'module.exports = 1;\n';
  const sha = remote.commit('another page', { 'marker.js': page });
  remote.push();
  const execution = await ended(await settled(1));
  expect(execution, `${execution.error}: ${execution.cause}`).toMatchObject({
    status: 'SUCCEEDED',
    input: {
      trigger: { kind: 'push', source: { repository: remote.url } },
      commit: { sha, branch: 'main', message: 'another page' },
    },
  });
  const { body } = await kiln.ask('storefront.live.localhost', '/service/status');
  expect(body).toContain(sha.slice(0, 7));
  await until('the folder of the execution is gone', async () => (await folders()).length === 0);
});

it('what only touches what is left out starts nothing', async () => {
  const sha = remote.commit('words', { 'README.md': 'Words.\n' });
  remote.push();
  expect(await settled(2)).toMatchObject({
    outcome: { kind: 'passed-over', why: 'no pattern lets any of the changed files in' },
  });
  const told = await kiln.run('pipeline', 'events', source.id);
  expect(told.stdout).toMatch(new RegExp(`push +main ${sha.slice(0, 10)} +passed over`));
});

it('what is pushed while the server is down is found, once; a changed pipeline holds from its own commit on', async () => {
  await kiln.kill();
  remote.commit('one', { 'one.js': '1\n' });
  remote.push();
  const StartAt = 'Done';
  const definition = {
    Triggers: { push: { branches: ['main', 'release/*'] } },
    StartAt,
    States: { Done: { Type: 'Pass', End: true } },
  };
  const sha = remote.commit('two', { 'pipeline.yaml': JSON.stringify(definition) });
  remote.push();
  await kiln.serve();
  expect(await ended(await settled(3))).toMatchObject({ status: 'SUCCEEDED', input: { commit: { sha } } });
  // Another branch, which the file lets in since; told by hook and found by looking, yet one event.
  remote.git('branch', 'release/1');
  remote.push('release/1');
  expect((await ended(await settled(4))).input.commit).toMatchObject({ sha, branch: 'release/1' });
  await writeFile(path.join(remote.work, 'pipeline.yaml'), 'StartAt: Nowhere\n');
  remote.commit('broken');
  remote.push('main');
  expect((await settled(5)).outcome).toMatchObject({ kind: 'failed', code: 'pipeline.invalid' });
  expect(await folders()).toEqual([]);
});

it('is started by hand, at any commit, and again from its start with a folder of its own', async () => {
  const at = remote.git('rev-parse', 'release/1').trim();
  const { execution } = await kiln.json<{ execution: string }>('pipeline', 'start', source.id, '--at', at);
  const first = await ended(await settled(6));
  expect(first).toMatchObject({
    status: 'SUCCEEDED',
    input: { trigger: { kind: 'api' }, commit: { sha: at } },
  });
  const again = await kiln.json<Execution>('pipeline', 'retry', execution, '--from', 'start');
  expect(again).toMatchObject({ status: 'SUCCEEDED', input: { commit: { sha: at } } });
  await kiln.json('pipeline', 'unwatch', source.id);
  expect(await kiln.json('pipeline', 'sources')).toEqual({ items: [] });
});
