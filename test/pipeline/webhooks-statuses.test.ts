/** Statuses of commits, told to a stand-in that answers as the providers' published APIs do. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/domain/ports/store.ts';
import type { WebhookProvider } from '../../src/domain/webhook.ts';
import { secretFolder } from '../../src/pipeline/commands/secret-folder.ts';
import { StatusReporter } from '../../src/pipeline/webhooks/status-reporter.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';

const TOKEN = 'tok-of-statuses-1234567890';
const SHA = '6dcb09b5b57875f334f61aebed695e2e4193db5e';
const by = { actor: 'test', atMs: 1 };

interface Told {
  readonly path: string;
  readonly token: string | undefined;
  readonly body: Readonly<Record<string, string>>;
}

let directory = '';
let store: Store;
let provider: Server;
let api = '';
const told: Told[] = [];
const logged: string[] = [];
/** What the next calls are answered with, instead of 201. */
const failures: { status: number; headers?: Record<string, string>; body?: string }[] = [];
let reporter: StatusReporter | undefined;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-statuses-'));
  await mkdir(path.join(directory, 'secrets'));
  await writeFile(path.join(directory, 'secrets/token'), `${TOKEN}\n`);
  provider = createServer(async (request, response) => {
    const body = JSON.parse(await textOf(request)) as Record<string, string>;
    const { authorization, 'private-token': privateToken } = request.headers;
    const failure = failures.shift();
    if (failure !== undefined) {
      response.writeHead(failure.status, failure.headers).end(failure.body ?? '{"message": "no"}');
      return;
    }
    told.push({ path: request.url ?? '', token: authorization ?? String(privateToken), body });
    response.writeHead(201, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ id: 1, state: body.state, context: body.context }));
  });
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  const address = provider.address();
  api = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  store = await opened();
  await store.executions.putDefinition('d', {});
});
afterEach(async () => {
  await reporter?.close();
  reporter = undefined;
  expect(logged.join('\n')).not.toContain(TOKEN);
  told.length = 0;
  failures.length = 0;
});
afterAll(async () => {
  await store.close();
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

function opened(): Promise<Store> {
  return openStore({ kind: 'sqlite', file: path.join(directory, 'kiln.db') }, { clock: systemClock });
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request) text += piece;
  return text;
}

async function report(): Promise<StatusReporter> {
  const made = new StatusReporter({
    store: store.webhooks,
    cursors: store.triggers,
    executions: store.executions,
    events: store.events,
    secrets: secretFolder(path.join(directory, 'secrets')),
    fetch,
    clock: systemClock,
    log: { warn: (fields, message) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
    random: () => 0.5,
  });
  made.start();
  reporter = made;
  // Where the very first begins is written down before it tells anything.
  while ((await store.triggers.cursor('commit-statuses')) === undefined) await sleep(5);
  return made;
}

async function webhook(name: string, provider: WebhookProvider, secret = 'token'): Promise<string> {
  const repository = `https://example.com/team/${name}.git`;
  const status = { api, secret };
  const serverUrl = 'https://kiln.example.com/';
  const webhook = { name, id: name, provider, repository, serverUrl, status };
  await store.webhooks.add(webhook, { key: 'k', sealed: 'x' }, by);
  return repository;
}

async function begin(id: string, repository: string, pipeline = 'shop'): Promise<void> {
  const input = { trigger: { kind: 'push', source: { repository } }, commit: { sha: SHA } };
  await store.executions.create({ id, pipeline, definition: 'd', input, priority: 0 }, 'queue', by);
}

async function end(id: string, status: 'SUCCEEDED' | 'FAILED' | 'ABORTED'): Promise<void> {
  await store.executions.renew('me', 60_000, Date.now());
  const claims = await store.executions.claim('me', 100, Date.now());
  const fence = claims.find((claim) => claim.id === id)?.fence ?? 0;
  await store.executions.append({ id, fence, after: 0, events: [{}], status, atMs: Date.now() });
}

async function until(count: number): Promise<void> {
  for (let waitedMs = 0; told.length < count && waitedMs < 60_000; waitedMs += 20) await sleep(20);
  expect(told.length).toBeGreaterThanOrEqual(count);
}

async function nothingLeft(name: string): Promise<void> {
  const left = () => store.webhooks.nextStatusAtMs([name]);
  for (let waited = 0; (await left()) !== undefined && waited < 3_000; waited += 1) await sleep(20);
  expect(await left()).toBeUndefined();
}

const states = () => told.map(({ body }) => body.state);

describe('a commit', () => {
  it('is told that its pipeline is under way and how it ended, with a link, under one context', async () => {
    const repository = await webhook('github', 'github');
    await report();
    await begin('e1', repository);
    await until(1);
    await end('e1', 'SUCCEEDED');
    await until(2);
    const common = { context: 'kiln/shop', target_url: 'https://kiln.example.com/#/executions/e1' };
    expect(told).toEqual([
      {
        path: `/repos/team/github/statuses/${SHA}`,
        token: `Bearer ${TOKEN}`,
        body: { ...common, state: 'pending', description: 'The pipeline is under way' },
      },
      {
        path: `/repos/team/github/statuses/${SHA}`,
        token: `Bearer ${TOKEN}`,
        body: { ...common, state: 'success', description: 'The pipeline has succeeded' },
      },
    ]);
    await nothingLeft('github');
  });

  it('of a repository without a webhook, or of no repository, is told nothing', async () => {
    await report();
    await begin('e2', 'https://example.com/team/unknown.git');
    await store.executions.create(
      { id: 'e3', pipeline: 'shop', definition: 'd', input: {}, priority: 0 },
      'queue',
      by,
    );
    const repository = await webhook('gitea', 'gitea');
    await begin('e4', repository);
    await end('e4', 'ABORTED');
    for (let waited = 0; states().at(-1) !== 'error' && waited < 3_000; waited += 1) await sleep(20);
    expect(new Set(told.map(({ path }) => path))).toEqual(new Set([`/repos/team/gitea/statuses/${SHA}`]));
    expect(states().at(-1)).toBe('error');
  });

  it('is told again what the provider did not take, when it says that it may be', async () => {
    const repository = await webhook('gitlab', 'gitlab');
    failures.push({ status: 429, headers: { 'retry-after': '3' } });
    await report();
    const atMs = Date.now();
    await begin('e5', repository);
    await until(1);
    expect(Date.now() - atMs).toBeGreaterThan(2_900);
    expect(told[0]).toMatchObject({
      path: `/projects/team%2Fgitlab/statuses/${SHA}`,
      token: TOKEN,
      body: { state: 'pending', name: 'kiln/shop' },
    });
    // GitLab refuses the state that a commit has: then it has been told.
    failures.push({ status: 400, body: '{"message":"Cannot transition status via :succeed from :success"}' });
    await end('e5', 'SUCCEEDED');
    for (let waited = 0; failures.length > 0 && waited < 3_000; waited += 1) await sleep(20);
    await nothingLeft('gitlab');
  }, 60_000);

  it('is told by the next server what the one before left, after both its executions and its webhooks', async () => {
    const repository = await webhook('bitbucket', 'bitbucket');
    // Written down, and not told: the provider is away when the server ends.
    failures.push({ status: 503 });
    const first = await report();
    await begin('e6', repository);
    for (let waited = 0; failures.length > 0 && waited < 3_000; waited += 1) await sleep(20);
    await first.close();
    // Nobody follows while these happen.
    await begin('e7', repository, 'other');
    await end('e6', 'FAILED');
    await store.close();
    store = await opened();
    expect(told).toEqual([]);
    await report();
    await until(2);
    const seen = told.map(({ body: { key, state, url } }) => ({ key, state, url }));
    expect(seen).toContainEqual({
      key: 'kiln/shop',
      state: 'FAILED',
      url: 'https://kiln.example.com/#/executions/e6',
    });
    expect(seen).toContainEqual({
      key: 'kiln/other',
      state: 'INPROGRESS',
      url: 'https://kiln.example.com/#/executions/e7',
    });
    expect(told[0]?.path).toBe(`/repositories/team/bitbucket/commit/${SHA}/statuses/build`);
  });

  it('waits for a token that the server does not have; one that it has is never sent elsewhere', async () => {
    const later = await webhook('server', 'bitbucket-server', 'later');
    const moved = await webhook('moved', 'github');
    failures.push({ status: 307, headers: { location: `${api}/elsewhere` } });
    await report();
    await begin('e8', later);
    await begin('e9', moved);
    const isOver = () => failures.length === 0 && logged.some((line) => line.includes('later'));
    for (let waited = 0; !isOver() && waited < 3_000; waited += 1) await sleep(20);
    await writeFile(path.join(directory, 'secrets/later'), 'other-token');
    await until(2);
    expect(told.map(({ path }) => path).sort()).toEqual([
      `/build-status/1.0/commits/${SHA}`,
      `/repos/team/moved/statuses/${SHA}`,
    ]);
    expect(told.find(({ path }) => path.startsWith('/build-status'))).toMatchObject({
      token: 'Bearer other-token',
      body: { state: 'INPROGRESS', key: 'kiln/shop' },
    });
  }, 60_000);
});
