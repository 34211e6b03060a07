import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { reportJson } from './report-json.ts';
import { reportJunit } from './report-junit.ts';
import { reportTest, reportText } from './report-text.ts';
import type { CheckRun, TestResult } from './run.ts';

function testResult(change: Partial<TestResult> = {}): TestResult {
  return {
    name: 'Status',
    protocol: 'http',
    url: 'http://h:80/',
    commandLine: 'curl  -v',
    colour: true,
    line: 3,
    tcpAttempts: [],
    outcomes: [
      { name: 'expect_status_code', message: 'Status code == 200', status: 'pass' },
      { name: 'response_body_contains', message: '"<b>" does not contain "x"', status: 'fail' },
    ],
    durationMs: 12.4,
    tries: 1,
    ...change,
  };
}

function checkRun(...tests: TestResult[]): CheckRun {
  const outcomes = tests.flatMap((test) => test.outcomes);
  const failedCount = outcomes.filter((outcome) => outcome.status === 'fail').length;
  return { tests, failedCount, passedCount: outcomes.length - failedCount, durationMs: 20 };
}

describe('the text', () => {
  it('has lines of 108 columns without colour', () => {
    const lines = reportTest(testResult(), false).split('\n');
    expect(lines.filter((line) => /PASS|FAIL|^-|^ /.test(line)).map((line) => line.length)).toEqual(
      Array(6).fill(108),
    );
    expect(lines.at(-2)).toMatch(/^response_body_contains: "<b>" does not contain "x"\.+\[FAIL\]$/);
  });

  it('is coloured only when both the caller and the file want it', () => {
    const introducer = '\u001b[';
    expect(reportTest(testResult(), true)).toContain(`${introducer}91m[FAIL]${introducer}0m`);
    expect(reportTest(testResult({ colour: false }), true)).not.toContain(introducer);
    expect(reportTest(testResult(), false)).not.toContain(introducer);
  });

  it('lets no service write to the terminal', () => {
    const evil = testResult({ body: 'a\u001b]0;x\u0007\rb', name: 'x\u001b[2J\nfake....[PASS]' });
    const text = reportText(checkRun(evil), false);
    for (const character of ['\u001b', '\u0007', '\r']) expect(text).not.toContain(character);
    expect(text).not.toMatch(/^fake/m);
  });

  it('ends with the count of outcomes', () => {
    expect(reportText(checkRun(testResult()), false)).toMatch(/\n\nFOUND 1 FAILURES IN 2 TESTS\n$/);
    expect(reportText(checkRun(testResult({ outcomes: [] })), false)).toMatch(/\n\nALL TESTS PASSED!\n$/);
  });
});

describe('JSON', () => {
  it('has a documented shape', () => {
    const report: unknown = JSON.parse(reportJson(checkRun(testResult())));
    expect(report).toMatchObject({
      passed: false,
      passedCount: 1,
      failedCount: 1,
      durationMs: 20,
      tests: [{ name: 'Status', passed: false, line: 3, outcomes: [{ passed: true }, { passed: false }] }],
    });
    expect(z.object({ tests: z.array(z.object({ command: z.string() })) }).parse(report).tests).toHaveLength(
      1,
    );
  });
});

/** A strict reader of the XML that we write: elements, attributes in double quotes, references, text. */
function wellFormed(xml: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  const token =
    /<\?xml [^<>]*\?>|<(\/?)(\w+)((?:\s+\w+="(?:[^"<&]|&(?:amp|lt|gt|quot|#\d+);)*")*)\s*(\/?)>|(?:[^<&]|&(?:amp|lt|gt|quot|#\d+);)+/gy;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    if (match === null) throw new Error(`Not XML at ${at}: ${xml.slice(at, at + 60)}`);
    const [, closes, name, , empty] = match;
    if (name === undefined) continue;
    if (closes === '/') expect(open.pop()).toBe(name);
    else {
      names.push(name);
      if (empty !== '/') open.push(name);
    }
  }
  expect(open).toEqual([]);
  return names;
}

describe('JUnit XML', () => {
  it('has a case for every outcome', () => {
    const xml = reportJunit(checkRun(testResult(), testResult({ outcomes: [] })), 'smoke.yaml');
    expect(wellFormed(xml)).toEqual([
      'testsuites',
      'testsuite',
      'testcase',
      'testcase',
      'failure',
      'testsuite',
    ]);
    expect(xml).toContain('<testsuites name="smoke.yaml" tests="2" failures="1" errors="0" time="0.020">');
    expect(xml).toContain('<failure message="&quot;&lt;b&gt;&quot; does not contain &quot;x&quot;">');
  });

  it('is well-formed whatever the texts hold', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(']]>', '<!--', '\ud800', '\u0000', '&#0;'),
    );
    fc.assert(
      fc.property(text, text, text, (name, message, url) => {
        const outcomes = [{ name, message, status: 'fail' as const }];
        const xml = reportJunit(checkRun(testResult({ name, url, outcomes })), name);
        wellFormed(xml);
        const allowed = (code: number) =>
          [9, 10, 13].includes(code) || (code >= 32 && code < 0xfffe) || code > 0xffff;
        expect([...xml].filter((character) => !allowed(character.codePointAt(0) ?? 0))).toEqual([]);
        expect(xml.isWellFormed()).toBe(true);
      }),
    );
  });
});
