/** From a webhook to the status of its commit: a real server, a real git remote, and a stand-in for the provider's API. */
import { createHmac, randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Kiln, until } from '../e2e/kiln.ts';
import { GitRemote } from './git-remote.ts';
import { githubFork, githubPullRequest, githubPush, headersOf } from './webhooks-payloads.ts';

const SECRET = 'secret-of-the-server-1234';
const PIPELINE = {
  Triggers: { push: { branches: ['main'] }, pullRequest: { branches: ['main'], forks: true } },
  StartAt: 'Which',
  States: {
    Which: {
      Type: 'Choice',
      Choices: [{ Variable: '$.trigger.kind', StringEquals: 'pull-request', Next: 'Ask' }],
      Default: 'Approve',
    },
    Approve: {
      Type: 'Task',
      Resource: 'approve',
      Parameters: { message: 'go on?', image: 'shop@9.9.9' },
      End: true,
    },
    Ask: {
      Type: 'Task',
      Resource: 'approve',
      Parameters: { image: 'shop@9.9.9', environment: 'live/local' },
      ResultPath: null,
      Next: 'Test',
    },
    Test: {
      Type: 'Task',
      Resource: 'cmd',
      Parameters: {
        commands: ['cat ours'],
        'source.$': '$.trigger.source.location',
        secrets: { TOKEN: 'token' },
      },
      End: true,
    },
  },
};

interface Status {
  readonly path: string;
  readonly state: string;
  readonly target_url: string;
}

let kiln: Kiln;
let remote: GitRemote;
let secret = '';
const told: Status[] = [];
const provider = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  told.push({ path: request.url ?? '', ...JSON.parse(body) });
  response.writeHead(201, { 'content-type': 'application/json' }).end('{"id": 1}');
});

beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  const address = provider.address();
  const api = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  kiln = await Kiln.create();
  await mkdir(kiln.state, { recursive: true });
  const users = { U2CERLKJA: 'anna', U0VIEWER: 'vic' };
  const chat = { slack: { secret: 'token', users } };
  await writeFile(path.join(kiln.state, 'settings.yaml'), JSON.stringify({ chat }));
  await kiln.serve();
  await mkdir(path.join(kiln.state, 'secrets'), { recursive: true });
  await writeFile(path.join(kiln.state, 'secrets/token'), SECRET);
  const folder = path.join(kiln.directory, 'octocat');
  await mkdir(folder);
  remote = new GitRemote(folder, 'Hello-World');
  remote.commit('the component', {
    'kiln.yaml': 'component: shop\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n',
    'pipeline.yaml': JSON.stringify(PIPELINE),
  });
  remote.push();
  await kiln.json('pipeline', 'watch', remote.bare);
  const status = ['--status-secret', 'token', '--status-api', api];
  const where = ['--provider', 'github', '--repository', remote.bare, '--url', 'https://kiln.example.com'];
  const added = await kiln.json<{ secret: string; webhook: object }>(
    'webhook',
    'add',
    'shop',
    ...where,
    ...status,
  );
  ({ secret } = added);
  expect(added.webhook).toMatchObject({ url: 'https://kiln.example.com/webhooks/shop' });
});
afterAll(async () => {
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
  await kiln.destroy();
});

async function tell(event: string, payload: object, id: string): Promise<Record<string, unknown>> {
  const body = JSON.stringify(payload);
  const file = await kiln.serverFile();
  const headers = { 'content-type': 'application/json', ...headersOf('github', event, body, secret, id) };
  const answer = await fetch(`${file?.url}/webhooks/shop`, { method: 'POST', headers, body });
  return { status: answer.status, ...((await answer.json()) as object) };
}

const statesOf = (sha: string) =>
  told.filter(({ path }) => path.endsWith(`/octocat/Hello-World/statuses/${sha}`)).map(({ state }) => state);

const executions = async () =>
  (await kiln.json<{ items: { id: string }[] }>('pipeline', 'list')).items.map(({ id }) => id);

describe('kiln webhook', () => {
  it('says what the provider is to be given and where, once, and takes it back', async () => {
    const where = ['--provider', 'gitlab', '--repository', 'git@gitlab.com:team/shop.git'];
    const added = await kiln.run('webhook', 'add', 'lab', ...where);
    const file = await kiln.serverFile();
    expect(added.stdout).toContain(`address  ${file?.url}/webhooks/lab`);
    expect(added.stdout).toMatch(/secret {3}whsec_[\w+/]{43}=\n/);
    expect(added.stdout).toContain('Signing token');
    expect((await kiln.run('webhook', 'add', 'lab', ...where)).code).toBe(4);
    expect((await kiln.run('webhook', 'remove', 'lab')).code).toBe(0);
    expect((await kiln.run('webhook', 'remove', 'lab')).code).toBe(3);
    const noApi = ['--provider', 'github', '--repository', remote.bare, '--status-secret', 'token'];
    const refused = await kiln.run('webhook', 'add', 'local', ...noApi);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--status-api') });
  });
});

describe('a push that a webhook tells of', () => {
  it('starts its pipeline once and tells its commit, over a crash of the server and a delivery sent again', async () => {
    const before = remote.git('rev-parse', 'HEAD').trim();
    const sha = remote.commit('a change', { ours: 'main' });
    remote.push();
    const payload = githubPush({ before, after: sha });
    expect(await tell('push', payload, 'delivery-1')).toMatchObject({ status: 202, outcome: 'taken' });
    await until('the commit is told that it is under way', async () => statesOf(sha).includes('pending'));
    const [id = '', ...others] = await executions();
    expect(others).toEqual([]);
    expect(told.at(-1)?.target_url).toBe(`https://kiln.example.com/#/executions/${id}`);
    await kiln.kill();
    await kiln.serve();
    expect(await tell('push', payload, 'delivery-1')).toMatchObject({ status: 200, again: true });
    expect(await tell('push', payload, 'delivery-2')).toMatchObject({
      status: 409,
      code: 'webhook.replayed',
    });
    await kiln.json('pipeline', 'approve', id, '--why', 'seen');
    await until('the commit is told how it ended', async () => statesOf(sha).at(-1) === 'success');
    expect(await executions()).toEqual([id]);
    expect((await kiln.run('webhook', 'list')).stdout).not.toContain(secret);
  });
});

describe('a pull request from a fork', () => {
  it('runs the repository’s own pipeline, without its secrets, whatever it says itself', async () => {
    remote.git('checkout', '--quiet', '-b', 'fork');
    const leak = { ...PIPELINE.States.Test, Parameters: { commands: ['touch leaked; echo "$TOKEN"'] } };
    const sha = remote.commit('give me all you have', {
      'pipeline.yaml': JSON.stringify({ StartAt: 'Test', States: { Test: leak } }),
    });
    remote.push('HEAD:refs/pull/2/head');
    const payload = JSON.parse(
      JSON.stringify(githubPullRequest('opened', githubFork)).replaceAll(
        '1481a2de7b2a7d02428ad93446ab166be7793fbb',
        sha,
      ),
    );
    expect(await tell('pull_request', payload, 'delivery-3')).toMatchObject({ status: 202 });
    await until('the commit is told that it is under way', async () => statesOf(sha).includes('pending'));
    const [id = ''] = await executions();
    // An admin's word lets it go on, and lends it none of the admin's rights.
    await until('somebody is asked', async () =>
      (await kiln.run('pipeline', 'why', id)).stdout.includes('There is no image shop@9.9.9.'),
    );
    await kiln.json('pipeline', 'approve', id);
    await until('the commit is told how it ended', async () => statesOf(sha).at(-1) === 'failure');
    const shown = await kiln.json('pipeline', 'show', id);
    expect(shown).toMatchObject({
      status: 'FAILED',
      error: 'auth.denied',
      input: { trigger: { kind: 'pull-request', fromFork: true, trusted: false }, commit: { sha } },
    });
    expect(JSON.stringify(shown)).not.toContain(SECRET);
  });
});

describe('a slash command of Slack', () => {
  async function slash(
    text: string,
    { user = 'U2CERLKJA', key = SECRET, id = randomUUID() as string } = {},
  ): Promise<{ status: number; text?: string }> {
    const body = String(new URLSearchParams({ command: '/kiln', text, user_id: user, trigger_id: id }));
    const timestamp = String(Math.floor(Date.now() / 1_000));
    const file = await kiln.serverFile();
    const answer = await fetch(`${file?.url}/chat/slack`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-slack-request-timestamp': timestamp,
        'x-slack-signature': `v0=${createHmac('sha256', key).update(`v0:${timestamp}:${body}`).digest('hex')}`,
      },
      body,
    });
    return { status: answer.status, ...((await answer.json()) as object) };
  }

  it('starts a pipeline once, tells what it waits for and answers it, with the rights of a token', async () => {
    await kiln.json('tokens', 'create', 'anna', '--role', 'deployer', '--environment', 'stage/*');
    await kiln.json('tokens', 'create', 'vic', '--role', 'viewer');
    expect((await slash('start shop', { user: 'U0VIEWER' })).text).toContain('needs the role deployer');
    const started = await slash('start shop at main', { id: 'once' });
    const [id = ''] = /exec-[0-9a-f]+/.exec(started.text ?? '') ?? [];
    expect(await slash('start shop at main', { id: 'once' })).toEqual(started);
    await until('it waits', async () => (await slash(`why ${id}`)).text?.includes('to approve') ?? false);
    // With the evidence, as on a terminal.
    expect((await slash(`why ${id}`)).text).toContain('There is no image shop@9.9.9.');
    expect((await slash('list', { user: 'U0VIEWER' })).text).toBe(`shop RUNNING ${id}`);
    expect(await kiln.json('pipeline', 'show', id)).toMatchObject({
      input: { trigger: { kind: 'chat', by: 'anna' } },
    });
    expect(await slash(`approve ${id} seen`, { user: 'U0VIEWER' })).not.toMatchObject({
      text: expect.stringContaining('is approved'),
    });
    expect((await slash(`approve ${id} seen`)).text).toBe(`${id} is approved by anna.`);
    await until('it goes on', async () => (await slash(`why ${id}`)).text === 'shop SUCCEEDED');
  });

  it('is heard only from Slack, and from whom an admin has named', async () => {
    expect(await slash('list', { key: 'another' })).toMatchObject({ status: 401, code: 'webhook.unsigned' });
    expect((await slash('list', { user: 'U0STRANGER' })).text).toContain('does not know the Slack user');
    expect((await slash('start cellar')).text).toContain('watches no pipeline cellar');
  });
});
