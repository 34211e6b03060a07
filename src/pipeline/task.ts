/** What a task is: what a resource is asked to do, and how it may be asked again. */
import type { ExecutionOrigin } from '../domain/ports/executions.ts';
import type { RunTask } from './asl/execution.ts';
import type { Json } from './asl/json.ts';
import type { TaskResource } from './definition/resources.ts';

/** One task, asked for. */
export interface TaskCall {
  /** Unique to this attempt, on every server and after every crash. */
  readonly key: string;
  readonly execution: string;
  readonly pipeline: string;
  /** Who started the execution: what the task does is done in this name. */
  readonly actor: string;
  readonly rights?: ExecutionOrigin['rights'];
  readonly request: RunTask;
  readonly arguments: Json;
  /** Of its execution: the greater goes first. */
  readonly priority: number;
  /** When its state was entered. */
  readonly sinceMs: number;
  /** True: it was asked for before, and nobody knows how far that came. */
  readonly again: boolean;
  /** Durable when it resolves: from here on nobody knows what the task has done, should its server die. */
  readonly begins: () => Promise<void>;
  /** Says that it is still at work, where the state has a heartbeat. */
  readonly beat: () => void;
}

/** What a task of an execution with this input is given, with the source of that as it is on this server. */
export type SourceHere = (input: Json, given: Json, signal: AbortSignal) => Promise<Json>;

/** A resource with what carries it out. */
export interface Task extends TaskResource {
  /**
   * `same-key`: asked twice with one key is done once, so after a crash it is asked again.
   * `never`: after a crash nobody knows what it did, and it ends as `Kiln.OutcomeUnknown`.
   */
  readonly repeat: 'same-key' | 'never';
  /** It says itself when it begins, see `TaskCall.begins`; otherwise that is said for it, where it must not run twice. */
  readonly beginsItself?: boolean;
  /** What carries it out is elsewhere and may die by itself: it calls `TaskCall.beat`, which is done for it otherwise. */
  readonly beatsItself?: (given: Json) => boolean;
  /**
   * For how long what carries it out elsewhere may go on when its server has died. It is lost only after that: whoever
   * tries it again is never at work beside it.
   */
  readonly outlivesServerMs?: (given: Json) => number;
  /** Takes one of the machine's places for work. */
  readonly takesPlace: boolean | ((given: Json) => boolean);
  /** Fails with TaskFailed, or KilnError, whose code is the error's name. The signal ends it. */
  run(call: TaskCall, signal: AbortSignal): Promise<Json>;
}

/** Why a task's signal is aborted when nobody wants its work any more: it ends what it has begun elsewhere, too. */
export class TaskCancelled extends Error {
  override readonly name = 'AbortError';
}

/** False for a task whose server only gives it up: whoever goes on with it finds what it has begun. */
export function isCancelled(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof TaskCancelled;
}

export const OUTCOME_UNKNOWN = 'Kiln.OutcomeUnknown';

/** A failure with a name and a cause, for Retry and Catch. */
export class TaskFailed extends Error {
  override readonly name = 'TaskFailed';
  readonly error: string;

  constructor(error: string, cause: string) {
    super(cause);
    this.error = error;
  }
}
