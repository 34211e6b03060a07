import { describe, expect, it } from 'vitest';
import { parseCheckFile } from './parse.ts';
import type { HttpAnswer } from './test-file.ts';

const JSON_BODY = JSON.stringify({
  status: 'good',
  ok: true,
  count: 3,
  nested: { state: 'deep', 'a.b': 1 },
  items: [{ id: 'x' }, { id: 'y' }],
  'with/slash': 'yes',
  token: 'abcdef',
});

function answer(change: Partial<HttpAnswer> & { header?: Record<string, string> } = {}): HttpAnswer {
  const { header, ...rest } = change;
  return {
    kind: 'http',
    status: 200,
    headers: new Map(Object.entries({ 'content-type': 'application/json', 'x-id': '42', ...header })),
    body: JSON_BODY,
    durationMs: 12,
    mask: (text) => text,
    ...rest,
  };
}

/** The results of the outcomes in the file, without the implied status. */
function results(outcomes: unknown, given: HttpAnswer = answer()) {
  const [test] = parseCheckFile(JSON.stringify({ tests: [{ name: 't', outcomes }] }), 'f.json');
  return (test?.outcomes ?? [])
    .filter((outcome) => outcome.name in Object(outcomes))
    .flatMap((outcome) => outcome.check(given))
    .map((result) => [result.status, result.message]);
}

describe('expect_status_code', () => {
  it.each([
    [{ expect_status_code: 200 }, 200, 'pass', 'Status code == 200'],
    [{ expect_status_code: '404' }, 404, 'pass', 'Status code == 404'],
    [{ expect_status_code: 200 }, 503, 'fail', 'Expecting status code 200 but got 503 instead'],
  ])('%j of %i: %s', (outcomes, status, verdict, message) => {
    expect(results(outcomes, answer({ status }))).toEqual([[verdict, message]]);
  });

  it('is implied as 200', () => {
    const [test] = parseCheckFile('tests: [{name: a}]', 'f');
    expect(test?.outcomes[0]?.check(answer({ status: 500 }))).toMatchObject([{ status: 'fail' }]);
  });
});

describe('the body', () => {
  it('contains a text, or each of a list', () => {
    expect(results({ response_body_contains: 'good' })).toEqual([['pass', 'Body contains "good"']]);
    expect(results({ response_body_contains: ['good', 'bad'] }).map(([status]) => status)).toEqual([
      'pass',
      'fail',
    ]);
  });

  it('does not contain a text', () => {
    expect(results({ response_body_doesnt_contain: ['bad', 'good'] })).toEqual([
      ['pass', 'Body doesn\'t contain "bad"'],
      ['fail', 'Body contains "good" and shouldn\'t'],
    ]);
  });

  it('is shown only in part, on one line', () => {
    const long = `one\ntwo\u001b[31m${'x'.repeat(10_000)}`;
    const [[, message] = []] = results({ response_body_contains: 'zzz' }, answer({ body: long }));
    expect(message).toMatch(/^"one two \[31mx{100,200}…" does not contain "zzz"$/);
  });
});

describe('response_json_contains', () => {
  it('checks every entry, at nested paths too', () => {
    const wanted = {
      status: 'good',
      ok: true,
      count: 3,
      'nested/state': 'deep',
      '/nested/state': 'deep',
      'nested.state': 'deep',
      'nested/a.b': 1,
      'items/1/id': 'y',
      'with/slash': 'yes',
      nested: { state: 'deep', 'a.b': 1 },
    };
    const found = results({ response_json_contains: wanted });
    expect(found).toHaveLength(Object.keys(wanted).length);
    expect(found.map(([status]) => status)).toEqual(found.map(() => 'pass'));
  });

  it.each([
    [{ status: 'good', count: 4 }, ['pass', 'fail'], 'Invalid json value 3 at path "count", expecting 4'],
    [{ ok: 'True' }, ['fail'], 'Invalid json value True at path "ok", expecting \'True\''],
    [{ 'nested/none': 1 }, ['fail'], 'No json value at path "nested/none", expecting 1'],
    [{ 'items/7': 1 }, ['fail'], 'No json value at path "items/7", expecting 1'],
    [{ 'items/length': 2 }, ['fail'], 'No json value at path "items/length", expecting 2'],
    [{ constructor: 1 }, ['fail'], 'No json value at path "constructor", expecting 1'],
    [{ token: 'other' }, ['fail'], 'Invalid json value *** at path "token", expecting ***'],
  ])('%j gives %j', (wanted, verdicts, message) => {
    const found = results({ response_json_contains: wanted });
    expect(found.map(([status]) => status)).toEqual(verdicts);
    expect(found.at(-1)?.[1]).toBe(message);
  });

  it('fails on a body that is not JSON', () => {
    expect(results({ response_json_contains: { a: 1 } }, answer({ body: '<p>' }))).toEqual([
      ['fail', 'The body is not JSON'],
    ]);
  });
});

describe('response_max_time_ms', () => {
  it('counts to the limit, inclusive', () => {
    expect(results({ response_max_time_ms: 12 })[0]?.[0]).toBe('pass');
    expect(results({ response_max_time_ms: 11 })).toEqual([
      ['fail', 'Response time was 1ms longer than 11ms max (12ms)'],
    ]);
  });
});

describe('response_redirect', () => {
  const to = (location: string) => answer({ status: 301, header: { location } });

  it.each([
    ['https://a.example/x?y=1', 'https://a.example/x?y=1', 'pass'],
    ['https://a\\.example/\\d+', 'https://a.example/12', 'pass'],
    ['a.example', 'https://a.example/', 'fail'],
    ['https://b.example', 'https://a.example/', 'fail'],
  ])('%s against %s: %s', (wanted, location, verdict) => {
    expect(results({ response_redirect: wanted }, to(location))[0]?.[0]).toBe(verdict);
  });

  it('needs a redirect', () => {
    expect(results({ response_redirect: '/' })).toEqual([['fail', 'Not being redirected: 200']]);
    expect(results({ response_redirect: '/' }, answer({ status: 304 }))[0]?.[0]).toBe('fail');
  });
});

describe('headers', () => {
  it('have exact values, every one of them', () => {
    expect(
      results({ response_header_values: { 'X-Id': '42', 'Content-Type': 'text/html', 'X-No': 1 } }),
    ).toEqual([
      ['pass', 'Header X-Id: 42 present'],
      ['fail', 'Expecting Content-Type: text/html, got Content-Type: application/json'],
      ['fail', 'Expected header X-No not present'],
    ]);
  });

  it('contain a regular expression, in Python’s writing', () => {
    const wanted = { 'content-type': '(?i)JSON$', 'x-id': '(?P<digit>\\d)', 'X-ID': '^4$' };
    expect(results({ response_header_value_contains: wanted }).map(([status]) => status)).toEqual([
      'pass',
      'pass',
      'fail',
    ]);
  });

  it.each(['headers_present', 'response_headers_present'])('are present: %s', (name) => {
    expect(results({ [name]: ['x-id', 'x-no'] })).toEqual([
      ['pass', 'Header x-id: 42 present'],
      ['fail', 'Expected header x-no not present'],
    ]);
  });

  it('do not show a cookie', () => {
    const given = answer({ header: { 'set-cookie': 'sid=s3cret' } });
    const found = results(
      { headers_present: ['Set-Cookie'], response_header_values: { 'Set-Cookie': 'x' } },
      given,
    );
    expect(found.map(([status]) => status)).toEqual(['pass', 'fail']);
    expect(JSON.stringify(found)).not.toContain('s3cret');
  });
});

describe('validate_json', () => {
  const validate = (schema: unknown, body: unknown) =>
    results({ validate_json: { schema } }, answer({ body: JSON.stringify(body) }));

  it('names every violation in Smolder’s words', () => {
    const schema = { type: 'object', properties: { zip: { type: 'string' }, age: { type: 'integer' } } };
    expect(validate(schema, { zip: 'a', age: 1 })).toEqual([
      ['pass', 'Json response matches the schema provided'],
    ]);
    expect(validate(schema, { zip: 94301, age: 'x' })).toEqual([
      [
        'fail',
        "Json response fails to match the schema provided Value 94301 for field 'zip' is not of type string",
      ],
      [
        'fail',
        "Json response fails to match the schema provided Value 'x' for field 'age' is not of type integer",
      ],
    ]);
  });

  it('requires what is listed, as Smolder does, unless it says otherwise', () => {
    const schema = { properties: { a: { type: 'any' }, b: { type: 'string', required: false } } };
    expect(validate(schema, {})).toEqual([
      ['fail', "Json response fails to match the schema provided Required field 'a' is missing"],
    ]);
    expect(validate(schema, { a: null })[0]?.[0]).toBe('pass');
  });

  it('is plain JSON Schema where it says so', () => {
    const properties = { a: { type: 'string' }, b: { enum: [1, 2] } };
    expect(validate({ properties, required: ['b'] }, { b: 1 })[0]?.[0]).toBe('pass');
    expect(validate({ properties, required: ['b'] }, { b: 3 })[0]?.[0]).toBe('fail');
    for (const dialect of [
      'http://json-schema.org/draft-07/schema#',
      'https://json-schema.org/draft/2020-12/schema',
    ]) {
      expect(validate({ $schema: dialect, properties }, {})[0]?.[0]).toBe('pass');
    }
  });
});
