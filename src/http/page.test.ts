import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';

let fixture: Fixture;
let nowMs = 1_000_000;
beforeEach(async () => {
  fixture = await openFixture((parts) => ({
    ...parts,
    clock: { ...parts.clock, now: () => nowMs },
    page: new Map([['/', { body: new TextEncoder().encode('<p>page</p>'), type: 'text/html' }]]),
  }));
});
afterEach(() => fixture.close());

const codeFor = async (token: string): Promise<string> =>
  String((await membersOf(await fixture.request('POST', '/api/v1/page/codes', { token }))).code);
const exchange = (token: string) => fixture.request('POST', '/api/v1/page/sessions', { token });

test('the page’s files need no token, and let nothing run but themselves', async () => {
  const answer = await fixture.request('GET', '/');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
});

test('a code becomes a token with the same rights, once', async () => {
  const code = await codeFor(await fixture.token('deployer', ['stage/*']));
  const session = await membersOf(await exchange(code));
  expect(session).toMatchObject({
    role: 'deployer',
    environments: ['stage/*'],
    expiresAtMs: nowMs + 12 * 3_600_000,
  });
  expect((await fixture.request('GET', '/api/v1/services', { token: String(session.secret) })).status).toBe(
    200,
  );
  expect((await fixture.request('GET', '/api/v1/tokens', { token: String(session.secret) })).status).toBe(
    403,
  );
  expect((await exchange(code)).status).toBe(401);
});

test('a code is good for nothing else, and not after a minute', async () => {
  const token = await fixture.token('admin');
  const code = await codeFor(token);
  expect((await fixture.request('GET', '/api/v1/services', { token: code })).status).toBe(401);
  nowMs += 60_001;
  expect((await exchange(code)).status).toBe(401);
});

test('a session never outlives the token it was made from', async () => {
  const code = await codeFor(await fixture.token('viewer', [], nowMs + 5_000));
  expect((await membersOf(await exchange(code))).expiresAtMs).toBe(nowMs + 5_000);
});
