import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fixture, membersOf, openFixture } from '../../test/http/app-fixture.ts';
import { API_ROOT, type OperationName, ROUTES, routeOf } from '../api/routes.ts';
import type { Role } from '../domain/audit.ts';
import { environmentName } from '../domain/ids.ts';
import { assertEnvironment } from './auth.ts';
import { checkListen } from './listen.ts';
import { assertHostAndOrigin } from './origin.ts';

/** Roles that may do what is open to the role. */
const MAY: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ['viewer', 'deployer', 'admin'],
  worker: ['worker', 'deployer', 'admin'],
  deployer: ['deployer', 'admin'],
  admin: ['admin'],
};
const ROLES = Object.keys(MAY) as Role[];
const NAMES = Object.keys(ROUTES) as OperationName[];

let fixture: Fixture;
const secrets = new Map<Role, string>();
beforeAll(async () => {
  fixture = await openFixture();
  for (const role of ROLES) secrets.set(role, await fixture.token(role));
});
afterAll(() => fixture.close());

function pathOf(name: OperationName): string {
  const values: Readonly<Record<string, string>> = {
    component: 'storefront',
    level: 'stage',
    region: 'local',
    number: '1',
    reference: 'storefront@1',
    channel: 'proven',
    id: 'x',
  };
  return API_ROOT + routeOf(name).path.replace(/\{(\w+)\}/g, (_, key: string) => values[key] ?? 'x');
}

describe('every operation', () => {
  test('refuses who has no token, a wrong one, or one that has expired', async () => {
    const expired = await fixture.token('admin', [], 1);
    for (const name of NAMES) {
      const method = routeOf(name).method.toUpperCase();
      for (const [token, code] of [
        [undefined, 'auth.missing'],
        ['nonsense', 'auth.missing'],
        [expired, 'auth.expired'],
      ] as const) {
        const answer = await fixture.request(method, pathOf(name), token === undefined ? {} : { token });
        expect([name, answer.status, (await membersOf(answer)).code]).toEqual([name, 401, code]);
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
    }
    expect(fixture.acts).toEqual([]);
  });

  test('answers exactly the roles that it says (role × operation)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...NAMES), fc.constantFrom(...ROLES), async (name, role) => {
        const route = routeOf(name);
        if (route.answers !== 'json') return;
        const token = secrets.get(role) ?? '';
        const answer = await fixture.request(route.method.toUpperCase(), pathOf(name), { token });
        const denied = answer.status === 403;
        expect({ name, role, denied }).toEqual({ name, role, denied: !MAY[route.role].includes(role) });
      }),
      { numRuns: 300 },
    );
  });
});

describe('a deployer', () => {
  test('writes only in its environments, and reads everywhere', async () => {
    const token = await fixture.token('deployer', ['stage/*']);
    const deploy = (environment: string) =>
      fixture.request('POST', '/api/v1/rollbacks', { token, body: { component: 'storefront', environment } });
    expect((await deploy('stage/local')).status).toBe(202);
    const refused = await deploy('live/local');
    expect([refused.status, (await membersOf(refused)).code]).toEqual([403, 'auth.denied']);
    expect(
      (await fixture.request('POST', '/api/v1/services/storefront/live/local/stop', { token })).status,
    ).toBe(403);
    expect((await fixture.request('GET', '/api/v1/services/storefront/live/local', { token })).status).toBe(
      200,
    );
  });

  test('fits a pattern exactly when each part is a star or equal', () => {
    const part = fc.constantFrom('stage', 'live', 'uk', 'us', '*');
    const word = fc.constantFrom('stage', 'live', 'uk', 'us');
    fc.assert(
      fc.property(part, part, word, word, (patternLevel, patternRegion, level, region) => {
        const actor = {
          name: 'x',
          role: 'deployer',
          environments: [`${patternLevel}/${patternRegion}`],
        } as const;
        const fits = [patternLevel, patternRegion].every(
          (one, index) => one === '*' || one === [level, region][index],
        );
        const check = () => assertEnvironment(actor, environmentName(`${level}/${region}`));
        if (fits) expect(check).not.toThrow();
        else expect(check).toThrow(/may not change/);
      }),
    );
  });
});

describe('Host and Origin', () => {
  test.each([
    ['localhost:7070', undefined, true],
    ['127.0.0.1:7070', undefined, true],
    ['[::1]:7070', undefined, true],
    ['kiln.example.com', undefined, true],
    ['LOCALHOST:7070', undefined, true],
    ['evil.example.com', undefined, false],
    ['localhost.evil.com', undefined, false],
    ['localhost:7070@evil.com', undefined, false],
    ['', undefined, false],
    [undefined, undefined, false],
    ['localhost:7070', 'http://localhost:7070', true],
    ['localhost:7070', 'http://localhost:8080', false],
    ['localhost:7070', 'https://evil.example.com', false],
    ['localhost:7070', 'null', false],
    ['kiln.example.com', 'https://kiln.example.com', true],
  ])('%s from %s: %s', (host, origin, allowed) => {
    const check = () => assertHostAndOrigin(host, origin, ['kiln.example.com']);
    if (allowed) expect(check).not.toThrow();
    else expect(check).toThrow();
  });

  test('are checked before the token, on healthz too', async () => {
    for (const path of ['/healthz', '/api/v1/images']) {
      const answer = await fixture.request('GET', path, { headers: { host: 'rebound.example.com' } });
      expect([answer.status, (await membersOf(answer)).code]).toEqual([403, 'auth.origin']);
    }
  });
});

describe('listening', () => {
  const tls = { certificateFile: 'a', keyFile: 'b' };
  test.each([
    [{ host: '127.0.0.1', port: 7070 }, true],
    [{ host: '127.1.2.3', port: 0 }, true],
    [{ host: '::1', port: 7070 }, true],
    [{ host: 'localhost', port: 7070 }, true],
    [{ host: '0.0.0.0', port: 7070 }, false],
    [{ host: '::', port: 7070 }, false],
    [{ host: '10.0.0.1', port: 7070 }, false],
    [{ host: '10.0.0.1', port: 7070, tls }, true],
    [{ host: '127.0.0.1', port: 65_536 }, false],
  ])('%j: %s', (settings, allowed) => {
    if (allowed) expect(() => checkListen(settings)).not.toThrow();
    else expect(() => checkListen(settings)).toThrow();
  });
});
