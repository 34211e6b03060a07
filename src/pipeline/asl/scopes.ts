/** What expressions of a thread may speak of: its input, its variables, the context object. */
import type { Thread } from './execution.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import type { QueryScope } from './jsonata-expression.ts';
import type { PathScope } from './jsonpath.ts';
import { timestampOf } from './timestamp.ts';
import { stateOf, type Turn } from './turn.ts';

/** What is in the context object for one evaluation only. */
export interface ContextExtras {
  readonly token?: string;
  readonly item?: JsonObject;
}

export function pathScope(turn: Turn, thread: Thread, input: Json, extras: ContextExtras = {}): PathScope {
  return {
    input,
    context: contextObject(turn, thread, extras),
    variables: visibleVariables(turn, thread),
  };
}

export function queryScope(
  turn: Turn,
  thread: Thread,
  states: JsonObject = {},
  extras: ContextExtras = {},
): QueryScope {
  return {
    states: { input: thread.input, context: contextObject(turn, thread, extras), ...states },
    variables: visibleVariables(turn, thread),
    nowMs: turn.nowMs,
    entropy: turn.entropy,
  };
}

function contextObject(turn: Turn, thread: Thread, extras: ContextExtras): JsonObject {
  const { context, input, startedAtMs } = turn.head;
  const item = extras.item ?? thread.item;
  const retryCount = thread.retries.reduce((sum, used) => sum + used, 0);
  const execution = {
    ...(isObject(context.Execution) && context.Execution),
    Input: input,
    StartTime: timestampOf(startedAtMs),
    ...thread.child,
  };
  return {
    ...context,
    Execution: execution,
    State: {
      Name: thread.state,
      EnteredTime: timestampOf(thread.enteredAtMs),
      ...(hasRetryCount(turn, thread) && { RetryCount: retryCount }),
    },
    ...(extras.token !== undefined && { Task: { Token: extras.token } }),
    ...(item !== undefined && { Map: { Item: item } }),
  };
}

/** AWS tells it to states that may be retried. */
function hasRetryCount(turn: Turn, thread: Thread): boolean {
  const type = stateOf(turn, thread).Type;
  return type === 'Task' || type === 'Parallel' || type === 'Map';
}

/** Of this thread and those around it, as far as its scope goes: a child of a distributed Map sees nothing outside. */
function visibleVariables(turn: Turn, thread: Thread): JsonObject {
  const parent = thread.parent && turn.thread(thread.parent.thread);
  if (parent === undefined || parent.scope !== thread.scope) return thread.variables;
  return { ...visibleVariables(turn, parent), ...thread.variables };
}
