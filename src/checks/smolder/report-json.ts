/** One document for programs; docs/checks.md describes its shape. Pure. */
import type { CheckRun } from './run.ts';

export function reportJson(run: CheckRun): string {
  const report = {
    passed: run.failedCount === 0,
    passedCount: run.passedCount,
    failedCount: run.failedCount,
    durationMs: Math.round(run.durationMs),
    tests: run.tests.map((test) => ({
      name: test.name,
      url: test.url,
      line: test.line,
      passed: test.outcomes.every((outcome) => outcome.status === 'pass'),
      durationMs: Math.round(test.durationMs),
      tries: test.tries,
      ...(test.status === undefined ? {} : { status: test.status }),
      ...(test.body === undefined ? {} : { body: test.body }),
      command: test.commandLine,
      outcomes: test.outcomes.map((outcome) => ({
        name: outcome.name,
        passed: outcome.status === 'pass',
        message: outcome.message,
      })),
    })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
