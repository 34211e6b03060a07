/** Task states: asked for as an effect, ended by an event, by their time-out or by a missing heartbeat. */
import type { TaskState } from './definition.ts';
import type { RunTask, TaskWait, Thread } from './execution.ts';
import { type Failure, StateFailure } from './failure.ts';
import { numberField } from './fields.ts';
import { isObject, type Json } from './json.ts';
import { fillQuery } from './jsonata-expression.ts';
import { payloadFailure } from './payload.ts';
import { pathScope, queryScope } from './scopes.ts';
import { type LimitInForce, limitCause, limitFor, limitInForce } from './task-limit.ts';
import { fillTemplate } from './template.ts';
import { isJsonata, type Turn } from './turn.ts';
import { effectiveInput, workInput } from './work-input.ts';

/** AWS's own, for a task that says none: three years. */
const DEFAULT_TIMEOUT_SECONDS = 99_999_999;
/** The largest result that AWS takes. */

export async function beginTask(turn: Turn, thread: Thread, state: TaskState): Promise<void> {
  const ends = endingOf(state.Resource);
  const token = ends === 'tokenReturned' ? tokenOf(turn) : undefined;
  const extras = { ...(token !== undefined && { token }) };
  const { timeoutSeconds, heartbeatSeconds } = await limitsOf(turn, thread, state);
  const credentials = await credentialsOf(turn, thread, state);
  const given = await workInput(turn, thread, state, extras);
  const byDefault = timeoutSeconds === undefined ? limitFor(turn.machine.limits, state.Resource) : undefined;
  const limit = byDefault && limitInForce(byDefault, given);
  const seconds = timeoutSeconds ?? limit?.seconds ?? DEFAULT_TIMEOUT_SECONDS;
  const request: RunTask = {
    type: 'runTask',
    task: turn.newId('task'),
    state: thread.state,
    resource: state.Resource,
    arguments: given,
    ...(credentials !== undefined && { credentials }),
    ends,
    ...extras,
    attempt: thread.retries.reduce((sum, used) => sum + used, 0),
    timeoutAtMs: turn.nowMs + seconds * 1_000,
    ...(heartbeatSeconds !== undefined && { heartbeatMs: heartbeatSeconds * 1_000 }),
  };
  const waitsFor: TaskWait = {
    kind: 'task',
    request,
    timeoutAtMs: request.timeoutAtMs,
    ...(limit && { limit }),
    ...(request.heartbeatMs !== undefined && {
      heartbeatMs: request.heartbeatMs,
      heartbeatAtMs: turn.nowMs + request.heartbeatMs,
    }),
    started: false,
    submitted: false,
  };
  turn.record(thread, `${familyOf(state.Resource)}Scheduled`, {
    state: thread.state,
    input: request.arguments,
  });
  turn.put({ ...thread, waitsFor });
  turn.effects.push(request);
  turn.setTimer({ timer: request.task, atMs: dueAtMs(waitsFor) });
}

/** It says which execution it leads to, for whoever takes the answer. */
function tokenOf(turn: Turn): string {
  const { Execution: execution } = turn.head.context;
  const random = turn.entropy.token();
  return isObject(execution) && typeof execution.Id === 'string' ? `${execution.Id}.${random}` : random;
}

/** When the task's timer (which has the task's id) must fire at the latest. */
export function dueAtMs(wait: TaskWait): number {
  return Math.min(wait.timeoutAtMs, wait.heartbeatAtMs ?? Number.POSITIVE_INFINITY);
}

function endingOf(resource: string): RunTask['ends'] {
  if (resource.endsWith('.waitForTaskToken')) return 'tokenReturned';
  return /\.sync(:\d+)?$/.test(resource) ? 'sync' : 'answered';
}

/** How AWS's history calls events of a task. */
function familyOf(resource: string): 'Task' | 'LambdaFunction' | 'Activity' {
  if (resource.startsWith('arn:aws:lambda:')) return 'LambdaFunction';
  return /:states:[^:]*:[^:]*:activity:/.test(resource) ? 'Activity' : 'Task';
}

async function limitsOf(
  turn: Turn,
  thread: Thread,
  state: TaskState,
): Promise<{ timeoutSeconds: number | undefined; heartbeatSeconds: number | undefined }> {
  const scope = pathScope(
    turn,
    thread,
    isJsonata(turn, state) ? thread.input : effectiveInput(turn, thread, state),
  );
  const timeoutSeconds = await numberField(turn, thread, 'TimeoutSeconds', {
    value: state.TimeoutSeconds,
    path: state.TimeoutSecondsPath,
    scope,
  });
  const heartbeatSeconds = await numberField(turn, thread, 'HeartbeatSeconds', {
    value: state.HeartbeatSeconds,
    path: state.HeartbeatSecondsPath,
    scope,
  });
  return { timeoutSeconds, heartbeatSeconds };
}

async function credentialsOf(turn: Turn, thread: Thread, state: TaskState): Promise<Json | undefined> {
  if (state.Credentials === undefined) return undefined;
  if (isJsonata(turn, state)) return fillQuery('Credentials', state.Credentials, queryScope(turn, thread));
  const input = effectiveInput(turn, thread, state);
  return fillTemplate(state.Credentials, pathScope(turn, thread, input), turn.entropy);
}

/** Puts what AWS's history has between Scheduled and the end: Started, and Submitted where it says so. */
function recordStart(turn: Turn, thread: Thread, wait: TaskWait, submitted: boolean): TaskWait {
  const family = familyOf(wait.request.resource);
  if (!wait.started) turn.record(thread, `${family}Started`, { state: thread.state });
  const isNew = submitted && !wait.submitted && wait.request.ends !== 'answered';
  if (isNew) turn.record(thread, `${family}Submitted`, { state: thread.state });
  return { ...wait, started: true, submitted: wait.submitted || isNew };
}

/** It begins: what its limit has for the work counts from here. */
export function taskStarted(turn: Turn, thread: Thread, wait: TaskWait, submitted: boolean): void {
  const waitsFor = recordStart(turn, thread, wait, submitted);
  turn.put({ ...thread, waitsFor: wait.started ? waitsFor : workLimited(turn, waitsFor, wait.limit) });
}

function workLimited(turn: Turn, wait: TaskWait, limit: LimitInForce | undefined): TaskWait {
  if (limit === undefined || limit.workSeconds === limit.seconds) return wait;
  const timeoutAtMs = Math.min(wait.timeoutAtMs, turn.nowMs + limit.workSeconds * 1_000);
  const limited = { ...wait, timeoutAtMs };
  turn.setTimer({ timer: wait.request.task, atMs: dueAtMs(limited) });
  return limited;
}

export function taskSucceeded(turn: Turn, thread: Thread, wait: TaskWait, output: Json): void {
  const { resource, task } = wait.request;
  recordStart(turn, thread, wait, true);
  turn.effects.push({ type: 'clearTimer', timer: task });
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  const tooLarge = payloadFailure(resource, output);
  if (tooLarge !== undefined) {
    turn.record(thread, `${familyOf(resource)}Failed`, { state: thread.state });
    throw tooLarge;
  }
  turn.record(thread, `${familyOf(resource)}Succeeded`, { state: thread.state, output });
  turn.next({ kind: 'result', thread: thread.id, result: output });
}

/** Throws; the caller handles it as any failure of the state. */
export function taskFailed(turn: Turn, thread: Thread, wait: TaskWait, failure: Failure): never {
  const { resource, task } = wait.request;
  recordStart(turn, thread, wait, true);
  turn.effects.push({ type: 'clearTimer', timer: task });
  const { error, cause } = failure;
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  turn.record(thread, `${familyOf(resource)}Failed`, {
    state: thread.state,
    ...(error !== undefined && { error }),
    ...(cause !== undefined && { cause }),
  });
  throw new StateFailure(failure, failure.error === 'States.Runtime');
}

/** Throws when the time is over; sets the timer anew when it fired early or a heartbeat came since. */
export function taskTimer(turn: Turn, thread: Thread, wait: TaskWait): void {
  const { resource, task } = wait.request;
  if (dueAtMs(wait) > turn.nowMs) {
    turn.setTimer({ timer: task, atMs: dueAtMs(wait) });
    return;
  }
  recordStart(turn, thread, wait, true);
  turn.effects.push({ type: 'cancelTask', task });
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  turn.record(thread, `${familyOf(resource)}TimedOut`, { state: thread.state, error: 'States.Timeout' });
  const missed = wait.timeoutAtMs > turn.nowMs;
  const cause =
    missed || wait.limit === undefined ? undefined : limitCause(resource, wait.limit, wait.started);
  throw new StateFailure(
    {
      error: 'States.Timeout',
      ...(cause !== undefined && { cause }),
      ...(missed && { alias: 'States.HeartbeatTimeout' }),
    },
    false,
  );
}

export function taskHeartbeat(turn: Turn, thread: Thread, wait: TaskWait): void {
  if (wait.heartbeatMs === undefined) return;
  const heartbeatAtMs = Math.max(wait.heartbeatAtMs ?? 0, turn.nowMs + wait.heartbeatMs);
  const waitsFor = { ...wait, heartbeatAtMs };
  turn.put({ ...thread, waitsFor });
  turn.setTimer({ timer: wait.request.task, atMs: dueAtMs(waitsFor) });
}
