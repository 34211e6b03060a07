/** Webhooks over real HTTP: what is signed is taken once, what is not learns nothing, and no flood fills the memory. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type ClientRequest, request } from 'node:http';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PipelineSource } from '../../src/domain/trigger.ts';
import { WEBHOOK_PROVIDERS, type WebhookProvider } from '../../src/domain/webhook.ts';
import type { GateLimits } from '../../src/http/webhook-gate.ts';
import { ownSealingKey } from '../../src/server/sealing-key.ts';
import { type ApiServer, listenForApi } from '../../src/server/sockets.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openWebhooks } from '../../src/server/webhooks.ts';
import { tamper } from '../contracts/store-subjects.ts';
import { type Fixture, openFixture } from '../http/app-fixture.ts';
import {
  AFTER,
  bitbucketPush,
  dataCenterPush,
  giteaPush,
  githubFork,
  githubPing,
  githubPullRequest,
  githubPush,
  gitlabPush,
  headersOf,
} from './webhooks-payloads.ts';

const MB = 1024 * 1024;
const LIMITS: GateLimits = { bodyBytes: 4 * MB, totalBytes: 16 * MB, atOnce: 4, bodyMs: 2_000 };
const PUSHES: Readonly<
  Record<WebhookProvider, readonly [event: string, payload: object, repository: string]>
> = {
  github: ['push', githubPush(), 'https://github.com/octocat/Hello-World.git'],
  gitlab: ['Push Hook', gitlabPush(), 'git@example.com:mike/diaspora.git'],
  gitea: ['push', giteaPush(), 'http://localhost:3000/gitea/webhooks.git'],
  bitbucket: ['repo:push', bitbucketPush, 'https://bitbucket.org/team_name/repo_name.git'],
  'bitbucket-server': [
    'repo:refs_changed',
    dataCenterPush,
    'https://git.example.com/scm/proj/repository.git',
  ],
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

let fixture: Fixture;
let server: ApiServer;
let admin: string;
const secrets = new Map<string, string>();

beforeAll(async () => {
  fixture = await openFixture((parts) => ({ ...parts, webhooks: { ...parts.webhooks, limits: LIMITS } }));
  server = await listenForApi({ listen: { host: '127.0.0.1', port: 0 } }, fixture.app.fetch);
  admin = await fixture.token('admin');
  for (const provider of WEBHOOK_PROVIDERS) {
    const [, , repository] = PUSHES[provider];
    await add(provider, provider, repository);
    await fixture.store.triggers.register(source(`src-${provider}`, repository), [], { actor: 'x', atMs: 1 });
  }
});
afterAll(async () => {
  fixture.app.close();
  await server.close();
  await fixture.close();
});

function source(id: string, url: string): PipelineSource {
  return {
    id,
    component: 'shop',
    location: { kind: 'repository', url },
    directory: '',
    branch: 'main',
    triggers: { schedule: [], channel: [], base: false, pipeline: [], onOpen: 'queue' },
    checkout: { submodules: true, lfs: true },
    parameters: {},
    owner: { actor: 'alice', role: 'admin', environments: [] },
    createdAtMs: 0,
  };
}

async function add(name: string, provider: WebhookProvider, repository: string): Promise<void> {
  const body = { name, provider, repository, serverUrl: 'https://kiln.example.com' };
  const answer = await fixture.request('POST', '/api/v1/webhooks', { token: admin, body });
  const { secret, webhook } = (await answer.json()) as { secret: string; webhook: { url: string } };
  expect(webhook.url).toBe(`https://kiln.example.com/webhooks/${name}`);
  secrets.set(name, secret);
}

function begin(name: string, headers: Readonly<Record<string, string>>, method = 'POST') {
  const sent: ClientRequest = request(`${server.url}/webhooks/${name}`, { method, headers, agent: false });
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (message) => {
      let text = '';
      message.on('data', (piece: Buffer) => {
        text += piece.toString();
      });
      message.on('error', reject);
      message.on('end', () => {
        const isJson = text.startsWith('{');
        resolve({
          status: message.statusCode ?? 0,
          headers: message.headers,
          text,
          json: isJson ? JSON.parse(text) : {},
        });
      });
    });
  });
  return { sent, answer };
}

function post(name: string, headers: Readonly<Record<string, string>>, body: string | Buffer) {
  const { sent, answer } = begin(name, headers);
  sent.end(body);
  return answer;
}

/** As the provider sends it. */
function tell(provider: WebhookProvider, event: string, payload: object, id?: string, secret?: string) {
  const body = JSON.stringify(payload);
  const key = secret ?? secrets.get(provider) ?? '';
  const headers = { 'content-type': 'application/json', ...headersOf(provider, event, body, key, id) };
  return post(provider, headers, body);
}

const waiting = async (id: string) =>
  (await fixture.store.triggers.waiting(1_000)).filter(({ source: of }) => of === id);

describe('a delivery', () => {
  it.each(WEBHOOK_PROVIDERS)(
    'of %s is an event of the pipelines that watch the repository, once',
    async (name) => {
      const [event, payload, repository] = PUSHES[name];
      const first = await tell(name, event, payload, 'delivery-1');
      expect(first).toMatchObject({ status: 202, json: { outcome: 'taken', event, again: false } });
      const taken = await waiting(`src-${name}`);
      expect(taken[0]?.event).toMatchObject({
        kind: 'push',
        repository: { urls: [repository] },
        delivery: `${name}/delivery-1`,
        sender: expect.any(String),
      });
      const again = await tell(name, event, payload, 'delivery-1');
      expect(again).toMatchObject({ status: 200, json: { outcome: 'taken', again: true } });
      expect(again.json.started).toEqual(first.json.started);
      const played = await tell(name, event, payload, 'delivery-2');
      if (name === 'gitlab') {
        // Whoever can name another delivery there knows the token; that its ref stands there already is known as well.
        expect(played).toMatchObject({ status: 202, json: { started: [{ source: 'src-gitlab' }] } });
      } else {
        expect(played).toMatchObject({ status: 409, json: { code: 'webhook.replayed', retryable: false } });
      }
      expect(await waiting(`src-${name}`)).toEqual(taken);
    },
  );

  it('whose server ended before the answer is taken all the same when it comes again, once', async () => {
    const payload = githubPush({ after: 'c'.repeat(40) });
    const body = JSON.stringify(payload);
    const { createHash } = await import('node:crypto');
    const bodyDigest = createHash('sha256').update(body).digest('hex');
    const delivery = { webhook: 'github', id: 'lost', bodyDigest };
    const kept = { keptMs: 1e9, most: 100 };
    expect(await fixture.store.webhooks.receive(delivery, Date.now(), kept)).toEqual({ kind: 'new' });
    const before = (await waiting('src-github')).length;
    expect(await tell('github', 'push', payload, 'lost')).toMatchObject({ status: 202 });
    expect(await tell('github', 'push', payload, 'lost')).toMatchObject({ status: 200 });
    expect(await waiting('src-github')).toHaveLength(before + 1);
  });

  it('that starts nothing is acknowledged, and says why', async () => {
    expect(await tell('github', 'ping', githubPing)).toMatchObject({
      status: 200,
      json: { outcome: 'pong' },
    });
    expect(await tell('github', 'workflow_run', {})).toMatchObject({
      status: 200,
      json: { outcome: 'ignored', event: 'workflow_run', why: 'nothing begins upon "workflow_run"' },
    });
    const elsewhere = githubPush({ repository: { full_name: 'mallory/other' } });
    expect(await tell('github', 'push', elsewhere)).toMatchObject({
      status: 200,
      json: { outcome: 'ignored', why: expect.stringContaining('not for mallory/other') },
    });
  });

  it('that nobody watches for yet is taken when it is delivered again later', async () => {
    const repository = 'https://github.com/octocat/new';
    await add('new', 'github', repository);
    const body = JSON.stringify(githubPush({ repository: { full_name: 'octocat/new' } }));
    const headers = headersOf('github', 'push', body, secrets.get('new') ?? '', 'early');
    expect(await post('new', headers, body)).toMatchObject({
      status: 200,
      json: { outcome: 'ignored', why: `no pipeline watches ${repository} yet` },
    });
    await fixture.store.triggers.register(source('src-new', repository), [], { actor: 'x', atMs: 1 });
    expect(await post('new', headers, body)).toMatchObject({ status: 202, json: { outcome: 'taken' } });
  });

  it('of a fork’s pull request is told as what must not be trusted', async () => {
    expect(await tell('github', 'pull_request', githubPullRequest('opened', githubFork))).toMatchObject({
      status: 202,
    });
    const taken = (await waiting('src-github')).find(({ event }) => event.kind === 'pull-request');
    expect(taken?.event).toMatchObject({ fromFork: true, trusted: false, commit: AFTER });
  });

  it('may be a form with the JSON in it', async () => {
    const body = `payload=${encodeURIComponent(JSON.stringify(githubPing))}`;
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const headers = { ...form, ...headersOf('github', 'ping', body, secrets.get('github') ?? '') };
    expect(await post('github', headers, body)).toMatchObject({ json: { outcome: 'pong' } });
  });
});

describe('what is not signed', () => {
  it('learns nothing: not even whether there is such a webhook', async () => {
    const [event, payload] = PUSHES.github;
    const wrong = await tell('github', event, payload, 'wrong', 'guess');
    const body = JSON.stringify(payload);
    const none = await post('github', { 'content-type': 'application/json' }, body);
    const unknown = await post('nobody', headersOf('github', event, body, 'guess'), body);
    const anonymous = ({ json: { instance: _, ...json }, status }: Answer) => ({ status, ...json });
    expect(anonymous(wrong)).toMatchObject({
      status: 401,
      code: 'webhook.unsigned',
      faults: [],
      details: {},
    });
    expect([none, unknown].map(anonymous)).toEqual([anonymous(wrong), anonymous(wrong)]);
    const traversal = await post('..%2f..%2ftoken', {}, body);
    expect(traversal.status).toBe(401);
    const { sent, answer } = begin('github', {}, 'GET');
    sent.end();
    expect(await answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  });

  it('nor does anybody who may look learn a secret', async () => {
    const listed = await fixture.request('GET', '/api/v1/webhooks', { token: await fixture.token('viewer') });
    const audit = await fixture.request('GET', '/api/v1/audit', { token: admin });
    const events = JSON.stringify(await fixture.store.events.after(0, 10_000));
    const seen = [await listed.text(), await audit.text(), events, ...fixture.logged].join('\n');
    expect(seen).toContain('webhook.add');
    for (const secret of secrets.values()) expect(seen).not.toContain(secret);
    const names = await readdir(fixture.directory);
    const files = await Promise.all(names.map((name) => readFile(path.join(fixture.directory, name))));
    for (const secret of secrets.values())
      expect(files.filter((bytes) => bytes.includes(secret))).toEqual([]);
    expect((await stat(path.join(fixture.directory, 'key'))).mode & 0o777).toBe(0o600);
  });

  it('is checked by each server of the store that has the key, and by one that has another is refused by name', async () => {
    const body = JSON.stringify(githubPing);
    const [secret = '', header] = [secrets.get('github'), new Map<string, string>()];
    for (const [name, value] of Object.entries(headersOf('github', 'ping', body, secret)))
      header.set(name, value);
    const delivery = { header: (name: string) => header.get(name), body: Buffer.from(body), atMs: 1 };
    const receivedBy = async (keyFile: string, warn: (fields: object) => void = () => undefined) => {
      const key = await ownSealingKey(path.join(fixture.directory, keyFile));
      const folder = path.join(fixture.directory, 'none');
      const { receiver } = await openWebhooks(fixture.store, systemClock, key, folder, { warn });
      return receiver;
    };
    expect(await (await receivedBy('key')).receive('github', delivery)).toEqual({ outcome: 'pong' });
    const warned: object[] = [];
    const stranger = await receivedBy('other-key', (fields) => warned.push(fields));
    expect(warned).toMatchObject([{ err: { code: 'secret.sealed' } }]);
    for (const name of ['github', 'nobody']) {
      await expect(stranger.receive(name, delivery)).rejects.toMatchObject({
        code: 'secret.sealed',
        next: expect.stringContaining('KILN_KEY_FILE'),
      });
    }
    await rm(path.join(fixture.directory, 'other-key'));
  });

  it('moves into the store from the file where an older server kept it', async () => {
    await add('older', 'github', 'https://github.com/octocat/older');
    const id = (await fixture.store.webhooks.get('older'))?.id ?? '';
    const folder = path.join(fixture.directory, 'webhooks');
    const old = 'a secret that an older server has written';
    await mkdir(folder);
    for (const name of [id, 'a0'.repeat(16)]) await writeFile(path.join(folder, name), old);
    await tamper(
      { kind: 'sqlite', file: path.join(fixture.directory, 'kiln.db') },
      `delete from webhook_secrets where webhook_id = '${id}'`,
    );
    const key = await ownSealingKey(path.join(fixture.directory, 'key'));
    await openWebhooks(fixture.store, systemClock, key, folder, { warn: () => undefined });
    expect(await readdir(folder)).toEqual([]);
    const body = JSON.stringify(githubPing);
    expect((await post('older', headersOf('github', 'ping', body, old), body)).status).toBe(200);
    await fixture.request('DELETE', '/api/v1/webhooks/older', { token: admin });
    secrets.delete('older');
  });

  it('is refused once the webhook is removed, its secret gone', async () => {
    await add('short', 'github', 'https://github.com/octocat/short');
    const removed = await fixture.request('DELETE', '/api/v1/webhooks/short', { token: admin });
    expect(removed.status).toBe(200);
    const body = JSON.stringify(githubPing);
    const headers = headersOf('github', 'ping', body, secrets.get('short') ?? '');
    expect((await post('short', headers, body)).status).toBe(401);
    secrets.delete('short');
  });
});

describe('what is signed and makes no sense', () => {
  it('is refused by name, whatever it is: never a failure of the server', async () => {
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 2_000 }).map((bytes) => Buffer.from(bytes)),
      fc.json({ maxDepth: 6 }).map((text) => Buffer.from(text)),
      fc.constantFrom(
        Buffer.from('['.repeat(200_000)),
        Buffer.from('{"a":'.repeat(50_000)),
        Buffer.from('{"__proto__": {"ref": 1}, "ref": "refs/heads/main"}'),
        Buffer.from([0xff, 0xfe, 0x7b]),
        Buffer.alloc(0),
      ),
    );
    const events = fc.constantFrom(
      ...Object.values(PUSHES).map(([event]) => event),
      'pull_request',
      'pr:opened',
    );
    const run = fc.asyncProperty(
      fc.constantFrom(...WEBHOOK_PROVIDERS),
      events,
      bodies,
      async (name, event, body) => {
        const text = body.toString('latin1');
        const headers = headersOf(name, event, text, secrets.get(name) ?? '');
        // The signature is over the bytes, and each of these characters is one.
        const { status, json } = await post(name, headers, body);
        expect([200, 400, 401]).toContain(status);
        if (status !== 200) expect(['input.invalid', 'webhook.unsigned']).toContain(json.code);
      },
    );
    await fc.assert(run, { numRuns: 200 });
  });

  it('is refused where it names no event, or no delivery', async () => {
    const body = JSON.stringify(githubPush({ after: 'd'.repeat(40) }));
    const { 'x-github-event': _e, ...noEvent } = headersOf(
      'github',
      'push',
      body,
      secrets.get('github') ?? '',
    );
    const { 'x-github-delivery': _d, ...noId } = headersOf(
      'github',
      'push',
      body,
      secrets.get('github') ?? '',
    );
    expect(await post('github', noEvent, body)).toMatchObject({
      status: 400,
      json: { code: 'input.invalid' },
    });
    expect(await post('github', noId, body)).toMatchObject({ status: 400, json: { code: 'input.invalid' } });
  });
});

describe('a flood', () => {
  it('of bodies that never come in is let in only so far, and then let go', async () => {
    const slow = Array.from({ length: LIMITS.atOnce }, () => {
      const one = begin('github', { 'content-length': '1000' });
      one.sent.write('{');
      return one;
    });
    // Once these wait, whoever comes next is told when to come again; when their time is up, there is room again.
    let refused: Answer | undefined;
    for (let tries = 0; refused?.status !== 429 && tries < 200; tries += 1) {
      refused = await tell('github', 'ping', githubPing);
    }
    expect(refused).toMatchObject({ status: 429, json: { code: 'server.flooded', retryable: true } });
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0);
    const ends = await Promise.allSettled(slow.map(({ answer }) => answer));
    for (const end of ends) if (end.status === 'fulfilled') expect(end.value.json.code).toBe('timeout');
    expect((await tell('github', 'ping', githubPing)).status).toBe(200);
  });

  it('of large bodies costs no more than what is let in at once', async () => {
    const piece = Buffer.alloc(256 * 1024, 'x');
    const huge = begin('github', { 'content-length': String(5 * MB) });
    huge.sent.write(piece);
    expect(await huge.answer).toMatchObject({ status: 413, json: { code: 'input.too-large' } });
    huge.sent.destroy();

    const before = process.memoryUsage().arrayBuffers;
    let peak = before;
    const sampler = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().arrayBuffers);
    }, 5);
    // 200 of them that do not say how long they are, send 3 MB and then no end: 600 MB were they all let in.
    const answers = Array.from({ length: 200 }, async () => {
      const { sent, answer } = begin('github', { 'transfer-encoding': 'chunked' });
      for (let sentBytes = 0; sentBytes < 3 * MB; sentBytes += piece.length) sent.write(piece);
      const { status } = await answer.finally(() => sent.destroy());
      return status;
    });
    const ends = await Promise.allSettled(answers);
    clearInterval(sampler);
    const statuses = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
    expect(statuses).toContain(429);
    expect(statuses.filter((status) => status !== 429 && status !== 504)).toEqual([]);
    expect((peak - before) / MB).toBeLessThan(150);
    expect((await tell('github', 'ping', githubPing)).status).toBe(200);
  });
});
