/** Gathers what a check found into the record that is kept with the image. */
import type { CheckResult } from '../domain/image.ts';
import type { CheckRun } from './smolder/run.ts';

export type CheckKind = 'boot' | 'standard' | 'smoke' | 'in-image';

export interface Findings {
  readonly passedCount: number;
  /** A text for each thing that failed: one line, and below it the last of a log where there is one. */
  readonly failures: readonly string[];
}

export interface Recorder {
  readonly where: string;
  readonly newId: () => string;
  readonly now: () => number;
}

const MAX_FAILURES = 50;
const MAX_LINES = 20;
const MAX_LINE_LENGTH = 500;

export function checkResult(kind: CheckKind, findings: readonly Findings[], recorder: Recorder): CheckResult {
  const failures = findings.flatMap((finding) => finding.failures);
  return {
    id: recorder.newId(),
    kind,
    where: recorder.where,
    passed: failures.length === 0,
    passedCount: findings.reduce((sum, finding) => sum + finding.passedCount, 0),
    failedCount: failures.length,
    failures: failures.slice(0, MAX_FAILURES).map(shortened),
    atMs: recorder.now(),
  };
}

function shortened(failure: string): string {
  const lines = failure.split('\n').slice(0, MAX_LINES);
  return lines.map((line) => line.slice(0, MAX_LINE_LENGTH)).join('\n');
}

export function smokeFindings(file: string, run: CheckRun): Findings {
  return {
    passedCount: run.passedCount,
    failures: run.tests.flatMap((test) =>
      test.outcomes
        .filter((outcome) => outcome.status === 'fail')
        .map((outcome) => `${file}:${test.line} ${test.name}: ${outcome.name}: ${outcome.message}`),
    ),
  };
}
