import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkStandardAnswer, STANDARD_ENDPOINTS } from './service-standard.ts';

const json: Record<string, string> = {
  'Content-Type': 'application/json; charset=utf-8',
  'cache-control': 'no-store',
};
const plain: Record<string, string> = { 'content-type': 'text/plain', 'Cache-Control': 'no-cache' };
const now = '2026-01-31T12:00:00.000Z';
const status = {
  component: 'shop',
  version: '1.2.0',
  environment: 'stage/uk',
  release: '12',
  instance: 'shop-web-stage-uk-v012-1',
  process: 'web',
  machine_name: 'ip-10-0-0-1',
  runtime: 'node 24.4.0',
  up_since: now,
  up_duration_millis: 0,
  current_time: now,
};
const tests = [{ test_name: 'database', test_result: 'passed', duration_millis: 1.5, tested_at: now }];
const healthcheck = { report_as_of: now, report_duration_millis: 3, tests };

function ask(endpoint: (typeof STANDARD_ENDPOINTS)[number], body: unknown, headers = json) {
  return checkStandardAnswer(endpoint, 200, headers, typeof body === 'string' ? body : JSON.stringify(body));
}

test('answers that fit have no problems', () => {
  expect(ask('status', status)).toEqual([]);
  expect(ask('healthcheck', healthcheck)).toEqual([]);
  expect(ask('healthcheck', { ...healthcheck, tests: [] })).toEqual([]);
  expect(ask('gtg', 'OK', plain)).toEqual([]);
  expect(ask('gtg', '"OK"', plain)).toEqual([]);
  expect(ask('config', { values: { theme: 'dark' }, hidden: ['db_password'] })).toEqual([]);
});

test('every missing or odd field is named', () => {
  const { version: _, ...without } = status;
  expect(ask('status', { ...without, up_since: 'yesterday', up_duration_millis: -1 })).toEqual([
    '/service/status: version is missing',
    '/service/status: up_since is "yesterday", expected a time such as 2026-01-31T12:00:00.000Z',
    '/service/status: up_duration_millis is -1, expected a number, 0 or more',
  ]);
  expect(ask('healthcheck', { ...healthcheck, tests: [{ ...tests[0], test_result: 'green' }, 7] })).toEqual([
    '/service/healthcheck: tests[0].test_result is "green", expected one of not_run, running, passed, failed',
    '/service/healthcheck: tests[1] is not an object',
  ]);
});

test('status, headers and body that do not fit', () => {
  expect(checkStandardAnswer('gtg', 503, plain, 'no')).toEqual([
    '/service/healthcheck/gtg: answered 503, expected 200',
  ]);
  expect(ask('status', 'hello', { 'Content-Type': 'text/html', 'cache-control': '' })).toEqual([
    '/service/status: Content-Type is "text/html", expected application/json',
    '/service/status: Cache-Control does not say no-store, so an old answer may be shown',
    '/service/status: the body is not a JSON object',
  ]);
});

test('an answer of another version is found out', () => {
  expect(checkStandardAnswer('status', 200, json, JSON.stringify(status), { version: '1.3.0' })).toEqual([
    '/service/status: version is "1.2.0", expected "1.3.0"',
  ]);
});

test('secrets in the shown configuration are problems that do not repeat them', () => {
  const shown = {
    values: { db_password: 'hunter2', db_url: 'postgres://app:hunter2@db/shop', seen: 'hunter2' },
    hidden: ['seen'],
  };
  const problems = ask('config', shown);
  expect(problems).toHaveLength(3);
  expect(problems.join()).not.toContain('hunter2');
});

test('no body makes the check itself fail', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...STANDARD_ENDPOINTS),
      fc.oneof(fc.string(), fc.json()),
      (endpoint, body) => {
        expect(Array.isArray(ask(endpoint, body))).toBe(true);
      },
    ),
  );
});
