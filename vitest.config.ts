import { defineConfig } from 'vitest/config';
import LongestFirst from './scripts/longest-first.ts';

/** Real processes start in most suites, so time limits are generous; nothing asserts on time. */
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    // Most suites wait more than they compute: CI has two cores, and a third suite uses what two of them leave idle.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './scripts/summary-reporter.ts'],
  },
});
