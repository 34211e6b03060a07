/** JUnit XML as CI servers read it: a test suite per test of the file, a test case per outcome. Pure. */
import type { CheckRun, TestResult } from './run.ts';

export function reportJunit(run: CheckRun, suiteName: string): string {
  const counts = `tests="${run.passedCount + run.failedCount}" failures="${run.failedCount}" errors="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${attribute(suiteName)}" ${counts} time="${seconds(run.durationMs)}">`,
    ...run.tests.map(testSuite),
    '</testsuites>',
    '',
  ].join('\n');
}

function testSuite(test: TestResult): string {
  const failures = test.outcomes.filter((outcome) => outcome.status === 'fail').length;
  const time = seconds(test.durationMs);
  return [
    `  <testsuite name="${attribute(test.name)}" tests="${test.outcomes.length}" failures="${failures}" errors="0" skipped="0" time="${time}">`,
    ...test.outcomes.map((outcome) => {
      const head = `    <testcase classname="${attribute(test.name)}" name="${attribute(`${outcome.name}: ${outcome.message}`)}" time="${time}"`;
      if (outcome.status === 'pass') return `${head}/>`;
      const detail = `${outcome.message}\n${test.url}\n${test.commandLine}`;
      return `${head}>\n      <failure message="${attribute(outcome.message)}">${content(detail)}</failure>\n    </testcase>`;
    }),
    '  </testsuite>',
  ].join('\n');
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1_000).toFixed(3);
}

/** XML 1.0 has no place for control characters, nor for half a surrogate pair, not even as references. */
function content(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
  );
}

function attribute(text: string): string {
  return content(text)
    .replaceAll('"', '&quot;')
    .replace(/[\t\r\n]/g, (character) => `&#${character.charCodeAt(0)};`);
}
