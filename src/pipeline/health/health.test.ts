import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { environmentName } from '../../domain/ids.ts';
import type { ExecutionStatus } from '../../domain/ports/executions.ts';
import { dora, type LiveDeployment } from './dora.ts';
import { durationsOf } from './durations.ts';
import { flakySteps } from './flaky-steps.ts';
import { standingOf } from './standing.ts';

describe('how a pipeline stands', () => {
  const of = (letters: string) =>
    standingOf(
      [...letters].map(
        (letter) =>
          ({ s: 'SUCCEEDED', f: 'FAILED', t: 'TIMED_OUT', a: 'ABORTED' })[letter] as ExecutionStatus,
      ),
    );

  it('is red after three failures in a row, whatever was cancelled between them', () => {
    expect(of('')).toEqual({ standing: 'unknown', failuresInRow: 0 });
    expect(of('aa').standing).toBe('unknown');
    expect(of('asff').standing).toBe('healthy');
    expect(of('ffs')).toEqual({ standing: 'failing', failuresInRow: 2 });
    expect(of('fatafs')).toEqual({ standing: 'red', failuresInRow: 3 });
    expect(of('fff')).toEqual({ standing: 'red', failuresInRow: 3 });
  });

  it('is healthy with every success, and what was cancelled never counts', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('s', 'f', 't', 'a') }), (letters) => {
        expect(of(`s${letters}`).standing).toBe('healthy');
        expect(of(letters)).toEqual(of(letters.replaceAll('a', '')));
      }),
    );
  });
});

test('durations: the middle one, the slow ones, and the newer half against the older', () => {
  expect(durationsOf([])).toBeUndefined();
  expect(durationsOf([5])).toEqual({ medianMs: 5, p90Ms: 5 });
  expect(durationsOf([30, 30, 30, 20, 20, 20])).toEqual({ medianMs: 20, p90Ms: 30, trend: 1.5 });
});

describe('the four figures', () => {
  const DAY = 86_400_000;
  const HOUR = DAY / 24;
  const live = (endedAtMs: number, to: number, more: Partial<LiveDeployment> = {}): LiveDeployment => ({
    environment: environmentName('live/uk'),
    reason: 'deploy',
    state: 'deployed',
    to,
    createdAtMs: endedAtMs - HOUR,
    endedAtMs,
    ...more,
  });

  it('count what their definitions say', () => {
    const week = [
      live(-DAY, 1, { committedAtMs: -2 * DAY }), // before the window
      live(1 * DAY, 2, { committedAtMs: 1 * DAY - 4 * HOUR }),
      live(2 * DAY, 3, { committedAtMs: 2 * DAY - 6 * HOUR }),
      live(2 * DAY + 2 * HOUR, 2, { reason: 'rollback', from: 3 as LiveDeployment['to'] }), // 3 was bad
      live(3 * DAY, 4, { state: 'failed', startedAtMs: 3 * DAY - HOUR / 2 }),
      live(4 * DAY, 5, { state: 'cancelled' }),
      live(5 * DAY, 6, { committedAtMs: 5 * DAY - 5 * HOUR }),
      live(6 * DAY, 6, { committedAtMs: 5 * DAY - 5 * HOUR }), // again: no new lead time
      live(6 * DAY, 1, { environment: environmentName('live/us') }), // of no commit
    ] as readonly LiveDeployment[];
    expect(dora(week.toReversed(), 0, 7 * DAY)).toEqual({
      days: 7,
      deployments: 5,
      deploymentsPerDay: 5 / 7,
      leadTimeMs: 5 * HOUR,
      changes: 6,
      failedChanges: 2,
      changeFailureRate: 2 / 6,
      restoreMs: HOUR / 2,
    });
  });

  it('are not there where there is nothing to tell them from', () => {
    expect(dora([], 0, 7 * DAY)).toEqual({
      days: 7,
      deployments: 0,
      deploymentsPerDay: 0,
      changes: 0,
      failedChanges: 0,
    });
  });
});

test('flaky: failed, then succeeded with the same input, in an execution or in the one that went on from it', () => {
  const task = (state: string, succeeded: boolean, attempt = 0) => ({ state, succeeded, attempt });
  const isLost = true as const;
  const runs = [
    { execution: 'e1', atMs: 1, tasks: [task('Build', true), task('Test', false), task('Test', true, 1)] },
    { execution: 'e2', atMs: 2, tasks: [task('Build', true), task('Test', true)] },
    { execution: 'e3', atMs: 3, tasks: [task('Build', true), task('Push', false)], failedIn: 'Push' },
    { execution: 'e4', atMs: 4, tasks: [task('Push', true), task('Live', true)], goesOnFrom: 'e3' },
    { execution: 'e5', atMs: 5, tasks: [task('Build', false), task('Build', false, 1)], failedIn: 'Build' },
    // Its server was killed, and it was tried again: that is not the step's doing.
    { execution: 'e6', atMs: 6, tasks: [{ ...task('Build', false), isLost }, task('Build', true, 1)] },
  ];
  expect(flakySteps(runs.toReversed())).toEqual([
    { state: 'Push', runs: 2, recovered: 1, lastAtMs: 4, execution: 'e4' },
    { state: 'Test', runs: 3, recovered: 1, lastAtMs: 1, execution: 'e1' },
  ]);
});
