import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../domain/errors.ts';
import { parseCheckFile } from './parse.ts';

function refusal(text: string): KilnError {
  try {
    parseCheckFile(text, 'smoke.yaml');
  } catch (thrown) {
    if (thrown instanceof KilnError) return thrown;
    throw thrown;
  }
  throw new Error('It was accepted.');
}

function onlyTest(text: string) {
  const [test, ...more] = parseCheckFile(text, 'smoke.yaml');
  expect(more).toEqual([]);
  if (test === undefined) throw new Error('There is no test.');
  return test;
}

describe('a check file', () => {
  it('gets its defaults', () => {
    const test = onlyTest('tests:\n  - name: Home\n    uri: /\n');
    expect(test).toMatchObject({
      name: 'Home',
      uri: '/',
      method: 'GET',
      tcpTest: false,
      showBody: false,
      colour: true,
      inputs: { timeoutMs: 30_000, allowRedirects: false, verify: true, headers: [], body: { kind: 'none' } },
      location: { line: 2, column: 5 },
    });
    expect(test.protocol).toBeUndefined();
    expect(test.outcomes.map((outcome) => outcome.name)).toEqual(['expect_status_code']);
  });

  it('is read as JSON too, indented with tabs', () => {
    expect(onlyTest('{\n\t"tests": [\n\t\t{"name": "a", "uri": "/x"}\n\t]\n}').uri).toBe('/x');
  });

  it('is YAML 1.1, as Smolder reads it, but dates and times stay text', () => {
    const test = onlyTest(
      'tests: [{name: a, inputs: {verify: no, allow_redirects: yes, json: {at: 2017-11-19, time: 12:30}}}]',
    );
    expect(test.inputs).toMatchObject({
      verify: false,
      allowRedirects: true,
      body: { kind: 'json', value: { at: '2017-11-19', time: '12:30' } },
    });
  });

  it.each([
    ['yaml', 'tests: [\n'],
    ['yaml', 'tests:\n  - {name: a, name: b}\n'],
    ['no-tests', 'other: 1\n'],
    ['no-tests', ''],
    ['no-tests', '- a\n'],
    ['empty', 'tests: []\n'],
    ['empty', 'tests:\n'],
    ['schema', 'tests: {name: a}\n'],
    ['schema', 'tests: [1]\n'],
    ['schema', 'tests: [{uri: /}]\n'],
  ])('is refused as %s: %j', (reason, text) => {
    const error = refusal(text);
    expect(error.code).toBe('check.invalid');
    expect(error.details.reason).toBe(reason);
  });

  it('tells every fault at once, each with its place and what was meant', () => {
    const error = refusal(
      [
        'tests:',
        '  - name: Status',
        '    protocl: http',
        '    inputs:',
        '      header: {Accept: "*/*"}',
        '      timeout: soon',
        '    outcomes:',
        '      response_body_contain: ok',
        '      expect_status_code: 2000',
        '  - name: Two',
        '    port: 70000',
        '    method: fetch',
        '    expect_status_code: 200',
      ].join('\n'),
    );
    expect(
      error.faults.map((fault) => [fault.location?.line, fault.location?.column, fault.didYouMean]),
    ).toEqual([
      [3, 5, 'protocol'],
      [5, 7, 'headers'],
      [6, 16, undefined],
      [8, 7, 'response_body_contains'],
      [9, 27, undefined],
      [11, 11, undefined],
      [12, 13, 'PATCH'],
      [13, 5, undefined],
    ]);
    expect(error.faults.at(7)?.message).toContain('belongs under "outcomes"');
  });

  it('names the keys of the format 0.1', () => {
    expect(refusal('tests: [{name: a, url: /x, request_headers: {}}]').faults).toHaveLength(2);
  });

  it.each([
    [
      'tests: [{name: a, protocol: tcp, outcomes: {response_body_contains: x}}]',
      'says nothing about a tcp test',
    ],
    [
      'tests: [{name: a, protocol: ldap, outcomes: {expect_status_code: 200}}]',
      'says nothing about a ldap test',
    ],
    [
      'tests: [{name: a, protocol: ldap, outcomes: {ldap_attribute_value_equals: x}}]',
      'needs the input "dn"',
    ],
    ['tests: [{name: a, inputs: {headers: {"X-A": "b\\nc"}}}]', 'line break'],
    ['tests: [{name: a, inputs: {headers: {"X A": b}}}]', 'not a header name'],
    ['tests: [{name: a, inputs: {data: {a: {b: 1}}}}]', 'cannot hold a mapping'],
    ['tests: [{name: a, inputs: {data: x, json: {}}}]', 'one body'],
    ['tests: [{name: a, inputs: {proxies: {}}}]', 'not supported'],
    ['tests: [{name: a, inputs: {auth: [x]}}]', 'user name and a password'],
    ['tests: [{name: a, outcomes: {response_header_value_contains: {a: "("}}}]', 'not a regular expression'],
    ['tests: [{name: a, outcomes: {validate_json: {schema: {type: strin}}}}]', 'not a JSON Schema'],
    ['tests: [{name: a, outcomes: {validate_json: {}}}]', 'needs a "schema"'],
    ['tests: [{name: a, uri: status}]', 'begins with a slash'],
  ])('refuses %s', (text, message) => {
    expect(
      refusal(text.replaceAll('\\n', '\\n'))
        .faults.map((fault) => fault.message)
        .join(),
    ).toContain(message);
  });

  it('takes Smolder’s older names', () => {
    const test = onlyTest(`
tests:
  - name: Upload
    method: post
    show_body: true
    response_headers_present: [x-a]
    inputs: {username: u, password: p, cookie: "a=1; b=2", file: {filename: t.txt, content: Lorem}}
    outcomes: {colour_output: false}
`);
    expect(test.inputs).toMatchObject({
      auth: { username: 'u', password: 'p' },
      cookies: [
        ['a', '1'],
        ['b', '2'],
      ],
      body: { kind: 'multipart', files: [{ field: 'file', filename: 't.txt', content: 'Lorem' }] },
    });
    expect(test).toMatchObject({ showBody: true, colour: false, method: 'POST' });
    expect(test.outcomes.map((outcome) => outcome.name)).toContain('response_headers_present');
  });

  it('never fails but with check.invalid, whatever the text', () => {
    const keys = fc.constantFrom(
      ...[
        'tests',
        'name',
        'inputs',
        'outcomes',
        'headers',
        'data',
        'file',
        'auth',
        'validate_json',
        'schema',
      ],
      ...[
        'response_json_contains',
        'headers_present',
        'protocol',
        'port',
        'uri',
        'timeout',
        '__proto__',
        'x',
      ],
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom('ldap', 'tcp', 'https', '/', '', '(', '*a', null, true, 0, -1, 200),
        fc.string(),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.array(fc.tuple(keys, tie('tree')), { maxLength: 5 }).map(Object.fromEntries),
      ),
    }));
    const structured = tree.map((value) =>
      JSON.stringify({ tests: [value, { name: 'a', ...Object(value) }] }),
    );
    fc.assert(
      fc.property(fc.oneof(structured, fc.string(), fc.string({ unit: 'binary' })), (text) => {
        try {
          expect(parseCheckFile(text, 'f').length).toBeGreaterThan(0);
        } catch (thrown) {
          expect(thrown).toMatchObject({ name: 'KilnError', code: 'check.invalid' });
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('survives aliases that would grow without end, and deep nesting', () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let i = 0; i < 12; i++) {
      const name = String.fromCharCode(98 + i);
      bomb.push(
        `${name}: &${name} [${Array(9)
          .fill(`*${String.fromCharCode(97 + i)}`)
          .join(',')}]`,
      );
    }
    expect(refusal(bomb.join('\n')).details.reason).toBe('yaml');
    expect(refusal(`tests: ${'['.repeat(20_000)}`).code).toBe('check.invalid');
  });
});
