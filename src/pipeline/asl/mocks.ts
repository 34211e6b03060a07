/** Task results given beforehand, so that a definition can be tried without anything outside. */
import { KilnError } from '../../domain/errors.ts';
import type { RunTask } from './execution.ts';
import { type Json, sameJson } from './json.ts';

/** How a task ends. `never` leaves it to its time-out. */
export type TaskOutcome =
  | { readonly output: Json; readonly submitted?: Json }
  | {
      readonly error?: string | null;
      readonly cause?: Json;
      readonly event?: string;
      readonly submitted?: Json;
    }
  | { readonly never_completed: true };

/** One answer, for this state or request where it names one. */
export type Mock = TaskOutcome & {
  readonly state?: string | null;
  readonly request?: Json;
};

/** Answers by resource (or by state), in the order in which they are given out. */
export type Mocks = Readonly<Record<string, readonly Mock[]>>;

export type AnswerTask = (task: RunTask) => TaskOutcome;

/**
 * Gives each answer once: the first whose request equals the task's, else the next one that names no other state.
 * The last answer for a resource that has none left is not repeated: the task fails the run, naming itself.
 */
export function answerFrom(mocks: Mocks): AnswerTask {
  const left = new Map(Object.entries(mocks).map(([resource, answers]) => [resource, [...answers]]));
  return (task) => {
    const answers = left.get(task.resource) ?? left.get(task.state) ?? ofState(left, task.state);
    const equal = answers.findIndex(
      ({ request, state }) =>
        request !== undefined && request !== null && isFor(state, task) && sameJson(request, task.arguments),
    );
    const at = equal >= 0 ? equal : answers.findIndex(({ state }) => isFor(state, task));
    const answer = answers[at];
    if (answer === undefined) throw noAnswer(task);
    answers.splice(at, 1);
    return answer;
  };
}

/** Results that name the state, whatever resource they stand under. */
function ofState(left: ReadonlyMap<string, Mock[]>, state: string): Mock[] {
  return [...left.values()].find((answers) => answers.some((answer) => answer.state === state)) ?? [];
}

function isFor(state: string | null | undefined, task: RunTask): boolean {
  return state === undefined || state === null || state === task.state;
}

function noAnswer(task: RunTask): KilnError {
  return new KilnError('input.invalid', `No result is given for the task of state "${task.state}".`, {
    next: `Add one for "${task.resource}" to the mocks: {"${task.resource}": [{"output": …}]}.`,
    details: { state: task.state, resource: task.resource },
  });
}
