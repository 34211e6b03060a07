/**
 * Steps that failed and then succeeded with the same input, within an execution (by its Retry) or from one to the
 * execution that went on from its failure. What was lost with its server says nothing about the step. Pure.
 */
import type { TaskEnded } from '../executor/stored-state.ts';

/** What an ended execution did. */
export interface Ran {
  readonly execution: string;
  readonly atMs: number;
  readonly tasks: readonly TaskEnded[];
  /** Where it failed, if it did. */
  readonly failedIn?: string;
  /** The execution that this one went on from, where it had failed, with the input of that. */
  readonly goesOnFrom?: string;
}

export interface FlakyStep {
  readonly state: string;
  /** Tasks of it that ended, and how many of these succeeded after they had failed. */
  readonly runs: number;
  readonly recovered: number;
  readonly lastAtMs: number;
  /** The newest in which it did so. */
  readonly execution: string;
}

/** The worst first. */
export function flakySteps(runs: readonly Ran[]): readonly FlakyStep[] {
  const failedIn = new Map(runs.map(({ execution, failedIn: state }) => [execution, state]));
  const steps = new Map<string, FlakyStep>();
  for (const { execution, atMs, tasks, goesOnFrom } of runs.toSorted((a, b) => a.atMs - b.atMs)) {
    const retried = goesOnFrom === undefined ? undefined : failedIn.get(goesOnFrom);
    let isFirst = true;
    const lost = new Map<string, number>();
    for (const { state, attempt, succeeded, isLost } of tasks) {
      const lostBefore = lost.get(state) ?? 0;
      lost.set(state, isLost ? lostBefore + 1 : succeeded ? 0 : lostBefore);
      if (isLost) continue;
      const before = steps.get(state) ?? { state, runs: 0, recovered: 0, lastAtMs: 0, execution: '' };
      const isRecovery = succeeded && (attempt > lostBefore || (isFirst && state === retried));
      if (state === retried && succeeded) isFirst = false;
      steps.set(state, {
        ...before,
        runs: before.runs + 1,
        ...(isRecovery && { recovered: before.recovered + 1, lastAtMs: atMs, execution }),
      });
    }
  }
  return [...steps.values()]
    .filter(({ recovered }) => recovered > 0)
    .toSorted((a, b) => b.recovered / b.runs - a.recovered / a.runs || b.recovered - a.recovered);
}
