import type { Reporter, TestModule } from 'vitest/node';

/** Ends the run with one plain line, `N passed, N failed`, for whatever reads the log. A skipped test counts as failed in CI. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failed += 1;
        else skipped += 1;
      }
    }
    if (process.env.CI === 'true' && skipped > 0) {
      console.log(`${skipped} tests were skipped: CI skips nothing.`);
      failed += skipped;
      process.exitCode = 1;
    }
    console.log(`${passed} passed, ${failed} failed`);
  }
}
