import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fixture, openFixture } from '../../test/http/app-fixture.ts';
import { CONTRACT } from '../api/contract.ts';
import { PROBLEM_TYPE } from '../api/failures.ts';
import { problem } from '../api/problem.ts';
import { type OperationName, ROUTES } from '../api/routes.ts';

let fixture: Fixture;
let admin: string;
beforeAll(async () => {
  fixture = await openFixture();
  admin = await fixture.token('admin');
});
afterAll(() => fixture.close());

async function problemOf(answer: Response) {
  expect(answer.headers.get('content-type')).toBe(PROBLEM_TYPE);
  const body = problem.parse(await answer.json());
  expect(body.status).toBe(answer.status);
  return body;
}

describe('the answers keep to the contract', () => {
  const calls: readonly [OperationName, string, string, unknown?][] = [
    ['bakes.start', 'POST', '/bakes', { directory: '/app' }],
    ['bakes.get', 'GET', '/bakes/bake-1'],
    ['bakes.cancel', 'POST', '/bakes/bake-1/cancel'],
    ['images.list', 'GET', '/images?component=storefront&limit=3'],
    ['images.get', 'GET', '/images/storefront@1.0.0'],
    ['images.sbom', 'GET', '/images/storefront@1.0.0/sbom'],
    ['images.findings', 'GET', '/images/storefront@1.0.0/findings'],
    ['scans.start', 'POST', '/scans', { image: 'storefront@1.0.0' }],
    ['scans.get', 'GET', '/scans/scan-1'],
    ['waivers.create', 'POST', '/waivers', { finding: 'CVE-1', why: 'not reachable', expiresAtMs: 4e12 }],
    ['waivers.list', 'GET', '/waivers'],
    ['transfers.push', 'POST', '/images/storefront@1.0.0/push', { to: 'localhost:5000/shop' }],
    ['transfers.pull', 'POST', '/pulls', { from: 'localhost:5000/shop:1.0.0' }],
    ['transfers.get', 'GET', '/transfers/transfer-1'],
    ['transfers.cancel', 'POST', '/transfers/transfer-1/cancel'],
    ['terraform.state', 'GET', '/terraform/state?query=storefront'],
    ['images.lineage', 'GET', '/images/storefront@1.0.0/lineage'],
    ['images.channels', 'GET', '/images/storefront@1.0.0/channels'],
    ['rebakes.list', 'GET', '/rebakes'],
    ['rebakes.retry', 'POST', '/images/storefront@1.0.0/rebake'],
    ['images.diff', 'GET', '/images/storefront@1.0.0/diff?with=storefront@1.0.0'],
    ['images.verify', 'POST', '/verifications', {}],
    ['janitor.get', 'GET', '/janitor'],
    ['janitor.enable', 'POST', '/janitor', { enabled: false }],
    ['janitor.run', 'POST', '/janitor/runs', {}],
    ['janitor.explain', 'GET', '/janitor/images/storefront@1.0.0'],
    ['janitor.restore', 'POST', '/janitor/images/storefront@1.0.0/restore'],
    ['channels.promote', 'POST', '/channels/storefront/proven', { image: 'storefront@1.0.0' }],
    ['channels.policy', 'GET', '/channels/storefront/golden/policy'],
    ['channels.setPolicy', 'POST', '/channels/storefront/golden/policy', { approvals: 1 }],
    [
      'channels.approve',
      'POST',
      '/channels/storefront/golden/approvals',
      { image: 'storefront@1.0.0', why: 'fine' },
    ],
    ['channels.list', 'GET', '/channels'],
    ['channels.history', 'GET', '/channels/storefront/proven'],
    ['checks.start', 'POST', '/checks', { image: 'storefront:proven' }],
    ['releases.list', 'GET', '/releases'],
    ['plan.show', 'GET', '/plan?component=storefront&environment=stage%2Flocal&image=storefront@1.0.0'],
    ['deployments.start', 'POST', '/deployments', { component: 'storefront', environment: 'stage/local' }],
    ['deployments.rollback', 'POST', '/rollbacks', { component: 'storefront', environment: 'stage/local' }],
    ['deployments.list', 'GET', '/deployments'],
    ['services.list', 'GET', '/services'],
    ['services.get', 'GET', '/services/storefront/stage/local'],
    ['services.stop', 'POST', '/services/storefront/stage/local/stop'],
    ['tokens.list', 'GET', '/tokens'],
    ['tokens.create', 'POST', '/tokens', { name: 'ci', role: 'viewer' }],
    ['tokens.delete', 'DELETE', '/tokens/t1'],
    [
      'webhooks.add',
      'POST',
      '/webhooks',
      {
        name: 'shop',
        provider: 'github',
        repository: 'https://github.com/octocat/shop',
        serverUrl: 'https://kiln.example.com',
        status: { secret: 'github-token' },
      },
    ],
    ['webhooks.list', 'GET', '/webhooks'],
    ['webhooks.remove', 'DELETE', '/webhooks/shop'],
    ['page.code', 'POST', '/page/codes'],
    ['page.session', 'POST', '/page/sessions'],
    ['audit.list', 'GET', '/audit'],
    ['audit.verify', 'GET', '/audit/verify'],
    ['janitor.announced', 'GET', '/janitor/announced?limit=2'],
    ['images.revoke', 'POST', '/images/storefront@1.0.0/revoke', { why: 'a hole', replace: true }],
    ['images.tag', 'POST', '/images/storefront@1.0.0/tags', { tags: { expires: 'never', env: null } }],
    ['pipelines.parameters', 'GET', '/pipeline-parameters?directory=/app'],
    ['executions.start', 'POST', '/executions', { directory: '/app' }],
    ['executions.list', 'GET', '/executions'],
    ['executions.get', 'GET', '/executions/exec-1'],
    ['executions.history', 'GET', '/executions/exec-1/history'],
    ['executions.graph', 'GET', '/executions/exec-1/graph'],
    ['executions.logs', 'GET', '/executions/exec-1/logs'],
    ['pipelines.list', 'GET', '/pipelines'],
    ['pipelines.get', 'GET', '/pipelines/storefront?days=7'],
    ['executions.cancel', 'POST', '/executions/exec-1/cancel'],
    ['sources.watch', 'POST', '/sources', { at: 'https://example.com/shop.git', pollSeconds: 30 }],
    ['sources.list', 'GET', '/sources'],
    ['sources.events', 'GET', '/sources/src-1/events'],
    ['sources.start', 'POST', '/sources/src-1/start', { at: 'v1' }],
    [
      'sources.pushed',
      'POST',
      '/sources/src-1/pushes',
      { moves: [{ before: '0'.repeat(40), after: 'a'.repeat(40), ref: 'refs/heads/main' }] },
    ],
    ['sources.remove', 'DELETE', '/sources/src-1'],
    ['server.get', 'GET', '/server'],
    ['server.down', 'POST', '/server/down', { instances: false }],
  ];
  test('every operation that answers JSON', async () => {
    await fixture.image('1.0.0');
    await fixture.token('viewer'); // t1 is the token that is deleted; the admin's is made first
    const own = await fixture.token('admin');
    for (const [name, method, path, body] of calls) {
      const answer = await fixture.request(method, `/api/v1${path}`, {
        token: own,
        ...(body ? { body } : {}),
      });
      const content = await answer.json();
      expect({ name, status: answer.status, content }).toMatchObject({
        name,
        status: expect.toSatisfy((s) => s < 300),
      });
      expect(() => CONTRACT[name].answer.parse(content), name).not.toThrow();
    }
    const untried = Object.keys(ROUTES).filter((name) => !calls.some(([tried]) => tried === name));
    expect(untried.toSorted()).toEqual([
      'bakes.log',
      'channels.back',
      'checks.get',
      'deployments.cancel',
      'deployments.get',
      'events.follow',
      'executions.decide',
      'executions.lines',
      'executions.log',
      'executions.retry',
      'executions.runTask',
      'executions.text',
      'pauses.list',
      'pauses.pause',
      'pauses.resume',
      'releases.get',
      'services.logs',
      'taskTokens.beat',
      'taskTokens.fail',
      'taskTokens.succeed',
      'waivers.delete',
      'workers.beat',
      'workers.begin',
      'workers.end',
      'workers.fetch',
      'workers.keep',
      'workers.log',
      'workers.release',
      'workers.send',
      'workers.source',
      'workers.take',
    ]);
    admin = own;
  });
});

describe('failures are problems', () => {
  test('an unknown path, a wrong method, a wrong type, a broken and a too large body', async () => {
    const cases: readonly [Promise<Response>, number, string][] = [
      [fixture.request('GET', '/nowhere', { token: admin }), 404, 'not-found'],
      [fixture.request('PUT', '/api/v1/images', { token: admin }), 405, 'input.method'],
      [
        fixture.request('POST', '/api/v1/bakes', {
          token: admin,
          text: 'x',
          headers: { 'content-type': 'text/plain' },
        }),
        415,
        'input.media-type',
      ],
      [fixture.request('POST', '/api/v1/bakes', { token: admin, text: '{' }), 400, 'input.invalid'],
      [
        fixture.request('POST', '/api/v1/bakes', { token: admin, text: `"${'x'.repeat(1024 * 1024)}"` }),
        413,
        'input.too-large',
      ],
      [fixture.request('GET', '/api/v1/images/nothing-here', { token: admin }), 404, 'not-found'],
      [fixture.request('GET', '/api/v1/images?limit=201', { token: admin }), 400, 'input.invalid'],
      [fixture.request('GET', '/api/v1/images?cursor=zzz', { token: admin }), 400, 'input.invalid'],
    ];
    for (const [request, status, code] of cases) {
      const answer = await request;
      expect([answer.status, (await problemOf(answer)).code]).toEqual([status, code]);
    }
  });

  test('a method that is not possible names those that are', async () => {
    const answer = await fixture.request('PATCH', '/api/v1/tokens', { token: admin });
    expect(answer.headers.get('allow')).toBe('GET, POST');
  });

  test('all faults of a body are named at once', async () => {
    const body = { component: 'Bad Name', environment: 'nowhere', onConflict: 'maybe', extra: 1 };
    const answer = await fixture.request('POST', '/api/v1/deployments', { token: admin, body });
    const { faults } = await problemOf(answer);
    expect(faults.map((fault) => fault.path).sort()).toEqual([
      'component',
      'environment',
      'extra',
      'onConflict',
    ]);
    expect(faults.find((fault) => fault.path === 'component')?.found).toBe('Bad Name');
  });

  test('what nobody foresaw goes to the log, and only its id goes out', async () => {
    const broken = await openFixture((parts) => ({
      ...parts,
      services: {
        ...parts.services,
        list: () => Promise.reject(new Error('password is hunter2')),
      },
    }));
    const answer = await broken.request('GET', '/api/v1/services', { token: await broken.token('viewer') });
    const text = await answer.text();
    await broken.close();
    expect(answer.status).toBe(500);
    expect(text).not.toContain('hunter2');
    expect(text).toContain(answer.headers.get('x-request-id') ?? 'no id');
    expect(broken.logged.some((line) => line.includes('a request failed'))).toBe(true);
  });
});

describe('what needs no token', () => {
  test('healthz and readyz; with a reason when not ready', async () => {
    expect((await fixture.request('GET', '/healthz')).status).toBe(200);
    expect((await fixture.request('GET', '/readyz')).status).toBe(200);
    const lame = await openFixture((parts) => ({
      ...parts,
      router: { status: async () => ({ driver: 'x', reachable: false, listen: 'y:1', detail: '' }) },
    }));
    const answer = await lame.request('GET', '/readyz');
    const body = await answer.json();
    await lame.close();
    expect(answer.status).toBe(503);
    expect(body).toMatchObject({
      ready: false,
      checks: [
        { part: 'store', ready: true },
        { part: 'router', ready: false },
      ],
    });
  });

  test('metrics needs one, and counts', async () => {
    expect((await fixture.request('GET', '/metrics')).status).toBe(401);
    await fixture.request('GET', '/metrics', { token: admin });
    await fixture.store.events.append('test.happened', 'x', {}, { actor: 'test', atMs: 1 });
    const text = await (await fixture.request('GET', '/metrics', { token: admin })).text();
    expect(text).toContain('kiln_events_total{kind="test.happened"} 1');
    expect(text).toMatch(/kiln_store_revision \d+/);
    expect(text).toMatch(/kiln_event_loop_lag_seconds \d/);
    expect(text).toMatch(/kiln_deployments_open\{state="running"\} 0/);
    expect(text).toMatch(
      /kiln_http_request_duration_seconds_count\{operation="images.list",method="GET",status="2xx"\} \d/,
    );
  });
});

test('security headers and a request id are on every answer', async () => {
  for (const path of ['/healthz', '/api/v1/images', '/nowhere']) {
    const answer = await fixture.request('GET', path);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{12}$/);
  }
});

test('the access log names the caller and never a secret', async () => {
  const secret = await fixture.token('viewer');
  await fixture.request('GET', '/api/v1/images?component=storefront', { token: secret });
  await fixture.request('POST', '/api/v1/tokens', { token: admin, body: { name: 'logged', role: 'viewer' } });
  const lines = fixture.logged.join('\n');
  expect(lines).toMatch(/request .*"path":"\/api\/v1\/images".*"actor":"viewer-/);
  expect(lines).not.toContain(secret);
  expect(lines).not.toMatch(/Bearer|kiln_secret/);
});
