/** How a state fails, and which Retry or Catch speaks of it. Names are those of the Amazon States Language. */

export type ErrorName = string;

/** A failure as the execution shows it; AWS leaves out a name or cause that was not given. */
export interface Failure {
  readonly error?: ErrorName;
  readonly cause?: string;
  /** A second name that Retry and Catch may use for it. */
  readonly alias?: ErrorName;
  /** A task that failed without a word; a Catch sees nulls then, where else it sees empty texts. */
  readonly isSilent?: true;
}

/** Thrown inside the interpreter only; `advance` turns it into a Retry, a Catch or the end of the execution. */
export class StateFailure extends Error {
  readonly failure: Failure;
  /** Whether the cause gets AWS's opening words, which name the state and where in the history it was entered. */
  readonly located: boolean;

  constructor(failure: Failure, located = true) {
    super(`${failure.error ?? 'no error name'}: ${failure.cause ?? ''}`);
    this.name = 'StateFailure';
    this.failure = failure;
    this.located = located;
  }
}

export function runtimeFailure(cause: string): StateFailure {
  return new StateFailure({ error: 'States.Runtime', cause });
}

export function queryFailure(cause: string): StateFailure {
  return new StateFailure({ error: 'States.QueryEvaluationError', cause });
}

/** These end an execution whatever Retry and Catch say. */
const NEVER_HANDLED: ReadonlySet<string> = new Set(['States.Runtime']);

/** Not meant by `States.ALL`; they have to be named. */
const ONLY_BY_NAME: ReadonlySet<string> = new Set(['States.DataLimitExceeded']);

export function isHandled(failure: Failure): boolean {
  return failure.error === undefined || !NEVER_HANDLED.has(failure.error);
}

export function meansFailure(names: readonly ErrorName[], failure: Failure, ofTask: boolean): boolean {
  const { error, alias } = failure;
  return names.some((name) => {
    if (name === error || (alias !== undefined && name === alias)) return true;
    if (name === 'States.ALL') return error === undefined || !ONLY_BY_NAME.has(error);
    return name === 'States.TaskFailed' && ofTask && error !== 'States.Timeout' && !isOnlyByName(error);
  });
}

function isOnlyByName(error: ErrorName | undefined): boolean {
  return error !== undefined && ONLY_BY_NAME.has(error);
}
