/** Whatever is sent: a problem with a code, never a 500, and nothing done. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Fixture, openFixture } from '../../test/http/app-fixture.ts';
import { PROBLEM_TYPE } from '../api/failures.ts';
import { problem } from '../api/problem.ts';
import { API_ROOT, type OperationName, ROUTES, routeOf } from '../api/routes.ts';

let fixture: Fixture;
let token: string;
beforeAll(async () => {
  fixture = await openFixture();
  token = await fixture.token('admin');
  await fixture.image('1.0.0');
});
afterAll(() => fixture.close());

const withBody = (Object.keys(ROUTES) as OperationName[]).filter((name) => routeOf(name).method === 'post');
const asked = (Object.keys(ROUTES) as OperationName[]).filter((name) => routeOf(name).answers === 'json');

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'storefront',
    'stage/local',
    '../../etc',
    '/',
    '\0',
    'a'.repeat(5000),
    'storefront@',
    '__proto__',
    '%',
  ),
);
const fields = [
  'directory',
  'component',
  'environment',
  'image',
  'channel',
  'name',
  'role',
  'to',
  'why',
  'instances',
];
const body = fc.oneof(
  fc.json().map((json) => json),
  fc.string({ unit: 'binary' }),
  fc
    .dictionary(fc.constantFrom(...fields), fc.oneof(text, fc.integer(), fc.constant(null), fc.array(text)))
    .map((value) => JSON.stringify(value)),
);

test('any body to any operation', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...withBody), body, async (name, sent) => {
      const path = API_ROOT + routeOf(name).path.replace(/\{\w+\}/g, 'x');
      await expectNoBreak(await fixture.request('POST', path, { token, text: sent }), `${name} ${sent}`);
    }),
    { numRuns: 800 },
  );
});

test('any parameters and queries', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...asked), text, text, text, async (name, parameter, key, value) => {
      const encoded = encodeURIComponent(parameter.toWellFormed()) || 'x';
      const path = API_ROOT + routeOf(name).path.replace(/\{\w+\}/g, encoded);
      const query = new URLSearchParams([[key.toWellFormed(), value.toWellFormed()]]);
      const answer = await fixture.request(routeOf(name).method.toUpperCase(), `${path}?${query}`, { token });
      await expectNoBreak(answer, `${name} ${path} ${query}`);
    }),
    { numRuns: 800 },
  );
});

async function expectNoBreak(answer: Response, what: string): Promise<void> {
  expect(answer.status, what).toBeLessThan(500);
  const content = await answer.text();
  if (answer.status < 400) return;
  expect(answer.headers.get('content-type'), what).toBe(PROBLEM_TYPE);
  expect(() => problem.parse(JSON.parse(content)), what).not.toThrow();
}
