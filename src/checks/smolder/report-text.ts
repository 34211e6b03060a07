/** The familiar form: a rule, name and URL centred, a command line to paste, dotted results. Pure. */
import type { CheckRun, TestResult } from './run.ts';
import type { OutcomeResult } from './test-file.ts';

const WIDTH = 108;
/** `: ` after the name, and `[PASS]`. */
const FIXED_WIDTH = 8;
const RULE = '-'.repeat(WIDTH);
const GREEN = 92;
const RED = 91;
const YELLOW = 93;

export function reportHead(count: number): string {
  return `Preparing to execute ${count} tests`;
}

/** One test, ending with an empty line. A file's own `colour_output: false` wins over `colour`. */
export function reportTest(result: TestResult, colour: boolean): string {
  const paint = (text: string, code: number) =>
    colour && result.colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  const attempts = result.tcpAttempts.map(
    ({ host, port, passed }) =>
      `Connecting to ${host} on port ${port} ${passed ? paint('[PASS]', GREEN) : paint('[FAIL]', YELLOW)}`,
  );
  // A TCP test's only outcome is what its attempts have just said.
  const outcomes = result.protocol === 'tcp' ? [] : result.outcomes;
  return [
    ...attempts,
    RULE,
    centred(result.name),
    centred(result.url),
    result.commandLine,
    RULE,
    ...(result.body === undefined ? [] : [printable(result.body)]),
    ...outcomes.map((outcome) => resultLine(outcome, paint)),
    '',
  ].join('\n');
}

export function reportTail(run: Pick<CheckRun, 'passedCount' | 'failedCount'>): string {
  if (run.failedCount === 0) return 'ALL TESTS PASSED!';
  return `FOUND ${run.failedCount} FAILURES IN ${run.passedCount + run.failedCount} TESTS`;
}

export function reportText(run: CheckRun, colour: boolean): string {
  const tests = run.tests.map((result) => `${reportTest(result, colour)}\n`);
  return `${reportHead(run.tests.length)}\n${tests.join('')}${reportTail(run)}\n`;
}

function resultLine(outcome: OutcomeResult, paint: (text: string, code: number) => string): string {
  const status = outcome.status === 'pass' ? paint('[PASS]', GREEN) : paint('[FAIL]', RED);
  const message = oneLine(outcome.message);
  const dots = '.'.repeat(Math.max(0, WIDTH - outcome.name.length - message.length - FIXED_WIDTH));
  return `${outcome.name}: ${message}${dots}${status}`;
}

function centred(text: string): string {
  const cut = oneLine(text).slice(0, WIDTH);
  const left = Math.floor((WIDTH - cut.length) / 2);
  return ' '.repeat(left) + cut + ' '.repeat(WIDTH - cut.length - left);
}

/** A terminal must not obey what a service sent. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}

function oneLine(text: string): string {
  return printable(text.replace(/\s*[\r\n]+\s*/g, ' '));
}
