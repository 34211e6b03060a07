/**
 * The interpreter: `advance(machine, execution, event)` gives the next execution and the effects to carry out.
 *
 * It is pure. It reads no clock, draws no chance and touches nothing outside: time and entropy are in the event.
 * It is asynchronous only because the JSONata library is; the same arguments give the same answer.
 *
 * MODES of an execution: PENDING → RUNNING → SUCCEEDED | FAILED | TIMED_OUT | ABORTED. The last four are final.
 * MODES of a thread (`waitsFor`), of which there is one for the machine and one for each branch and item that runs:
 *   turn      to be worked on now; none is left in this mode when `advance` returns
 *   time      in a Wait state, until its timer fires
 *   backOff   in a state that failed and will be tried again, until its timer fires
 *   task      in a Task state, until the task ends, or its time or heartbeat is up
 *   branches  in a Parallel state, until all branches ended or one failed
 *   items     in a Map state, until all items ended or more failed than may
 *   reading, writing   in a distributed Map whose items are read or whose results are written outside
 *
 * INVARIANTS
 *   - What `advance` returns is plain JSON: written and read again it is the same execution.
 *   - Everything a thread waits for has a timer, so no execution waits for ever; a history that grows beyond
 *     25,000 events fails, so none runs for ever.
 *   - Ids of threads, tasks and timers are never used twice. An event for one that is not waited for (late, twice,
 *     of an attempt that timed out) changes nothing and asks for nothing.
 *   - A timer that fires early is set again; so it does not matter how exact, or how often, timers fire.
 *   - An execution that ended has no threads and takes no events.
 *
 * FOR AN EXECUTOR: store the event, call `advance`, store the execution, then carry out the effects. `runTask`,
 * `readItems` and `writeResults` carry an id that never changes: it is the idempotency key, and the name under
 * which the answer comes back. After a crash, `outstanding(execution)` gives again every effect that is not
 * answered yet. Events of one execution are applied one at a time; those of different executions are independent.
 */
import type { StateMachine } from './definition.ts';
import type { Beginning, Effect, Execution, ExecutionEvent, HistoryRecord, Thread } from './execution.ts';
import { MAIN } from './execution.ts';
import { handleFailure } from './failing.ts';
import { type Failure, StateFailure } from './failure.ts';
import type { Json, JsonObject } from './json.ts';
import { leaveWithResult } from './leave.ts';
import { beginItems, itemEnded, itemFailed, itemsRead } from './map.ts';
import { resultsWritten, transferTimedOut } from './map-run.ts';
import { beginBranches, branchEnded, branchFailed } from './parallel.ts';
import type { State } from './schema.ts';
import { afterWait, choose, fail, pass, succeed, wait } from './simple-states.ts';
import { stopAll } from './stopping.ts';
import {
  beginTask,
  dueAtMs,
  taskFailed,
  taskHeartbeat,
  taskStarted,
  taskSucceeded,
  taskTimer,
} from './task.ts';
import { HistoryFull, type Step, stateOf, Turn } from './turn.ts';

export interface Advanced {
  readonly execution: Execution;
  readonly effects: readonly Effect[];
  /** What this event added to the history, in AWS's words and numbers. */
  readonly history: readonly HistoryRecord[];
}

/** A new execution; it begins with the event `started`. */
export function pendingExecution(input: Json, context: JsonObject = {}, begin?: Beginning): Execution {
  const beginning = begin && { begin };
  const head = { status: 'PENDING', input, context, ...beginning, startedAtMs: 0 } as const;
  return { ...head, threads: {}, eventCounts: {}, nextId: 1 };
}

export async function advance(
  machine: StateMachine,
  execution: Execution,
  event: ExecutionEvent,
): Promise<Advanced> {
  const turn = new Turn(machine, execution, event.atMs, event.entropy);
  try {
    await receive(turn, event);
    for (let step = turn.take(); step !== undefined; step = turn.take()) await take(turn, step);
  } catch (error) {
    if (!(error instanceof HistoryFull)) throw error;
    stopAll(turn);
    const cause = 'The execution reached the maximum number of history events (25000).';
    turn.end({ status: 'FAILED', error: 'States.Runtime', cause }, 'ExecutionFailed');
  }
  return { execution: turn.execution(), effects: turn.effects, history: turn.history };
}

async function receive(turn: Turn, event: ExecutionEvent): Promise<void> {
  const { status } = turn.head;
  if (event.type === 'started') {
    if (status === 'PENDING') start(turn);
    return;
  }
  if (status !== 'RUNNING') return;
  if (event.type === 'aborted') {
    stopAll(turn);
    const { error, cause } = event;
    const said = { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
    turn.end({ status: 'ABORTED', ...said }, 'ExecutionAborted');
    return;
  }
  if (event.type === 'timerFired' && event.timer === turn.head.deadline?.timer) {
    deadlineFired(turn);
    return;
  }
  const waiting = waitingFor(turn, event.type === 'timerFired' ? event.timer : event.task);
  if (waiting !== undefined) await guarded(turn, waiting.id, () => answer(turn, waiting, event));
}

function start(turn: Turn): void {
  const { machine, nowMs } = turn;
  const { input, begin = { state: machine.StartAt, input, variables: {} } } = turn.head;
  turn.change({ status: 'RUNNING', startedAtMs: nowMs });
  const main: Thread = {
    id: MAIN,
    level: [],
    scope: MAIN,
    ...begin,
    enteredAtMs: nowMs,
    enteredEventId: 0,
    retries: [],
    waitsFor: { kind: 'turn' },
  };
  turn.put(main);
  turn.record(main, 'ExecutionStarted', { input });
  if (machine.TimeoutSeconds !== undefined) {
    const deadline = { timer: turn.newId('timer'), atMs: nowMs + machine.TimeoutSeconds * 1_000 };
    turn.change({ deadline });
    turn.setTimer(deadline);
  }
  turn.next({ kind: 'enter', thread: MAIN });
}

function deadlineFired(turn: Turn): void {
  const { deadline } = turn.head;
  if (deadline === undefined) return;
  if (deadline.atMs > turn.nowMs) {
    turn.setTimer(deadline);
    return;
  }
  stopAll(turn);
  turn.end({ status: 'TIMED_OUT', error: 'States.Timeout' }, 'ExecutionTimedOut');
}

/** The thread that waits for a task or timer of this id; a task's timer has the task's id. */
function waitingFor(turn: Turn, id: string): Thread | undefined {
  return [...turn.threads].find(({ waitsFor }) =>
    'timer' in waitsFor ? waitsFor.timer === id : 'request' in waitsFor && waitsFor.request.task === id,
  );
}

type Answer = Exclude<ExecutionEvent, { readonly type: 'started' | 'aborted' }>;

async function answer(turn: Turn, thread: Thread, event: Answer): Promise<void> {
  const { waitsFor } = thread;
  if (event.type === 'timerFired') return timerFired(turn, thread);
  if (waitsFor.kind === 'task') {
    if (event.type === 'taskSucceeded') return taskSucceeded(turn, thread, waitsFor, event.output);
    if (event.type === 'taskFailed') taskFailed(turn, thread, waitsFor, failureOf(event));
    if (event.type === 'taskHeartbeat') return taskHeartbeat(turn, thread, waitsFor);
    if (event.type === 'taskStarted' || event.type === 'taskSubmitted') {
      taskStarted(turn, thread, waitsFor, event.type === 'taskSubmitted');
    }
    return;
  }
  const state = stateOf(turn, thread);
  if (state.Type !== 'Map') return;
  if (event.type === 'taskFailed') throw new StateFailure(failureOf(event), false);
  if (waitsFor.kind === 'reading' && event.type === 'itemsRead') {
    await itemsRead(turn, thread, state, waitsFor, event.items);
  }
  if (waitsFor.kind === 'writing' && event.type === 'resultsWritten') {
    resultsWritten(turn, thread, state, waitsFor, event.details);
  }
}

function failureOf({ error, cause }: Answer & { readonly type: 'taskFailed' }): Failure {
  if (error === undefined && cause === undefined) return { isSilent: true };
  return { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
}

async function timerFired(turn: Turn, thread: Thread): Promise<void> {
  const { waitsFor } = thread;
  if (waitsFor.kind === 'task') {
    taskTimer(turn, thread, waitsFor);
    return;
  }
  if (waitsFor.kind === 'time' || waitsFor.kind === 'backOff') {
    if (waitsFor.atMs > turn.nowMs) {
      turn.setTimer(waitsFor);
      return;
    }
    const now = turn.put({ ...thread, waitsFor: { kind: 'turn' } });
    const state = stateOf(turn, now);
    if (waitsFor.kind === 'backOff') turn.next({ kind: 'work', thread: thread.id });
    else if (state.Type === 'Wait') await afterWait(turn, now, state);
    return;
  }
  if (waitsFor.kind !== 'reading' && waitsFor.kind !== 'writing') return;
  if (waitsFor.timeoutAtMs > turn.nowMs) {
    turn.setTimer({ timer: waitsFor.request.task, atMs: waitsFor.timeoutAtMs });
    return;
  }
  transferTimedOut(turn, waitsFor);
}

async function take(turn: Turn, step: Step): Promise<void> {
  const thread = turn.thread(step.thread);
  if (thread === undefined) return;
  await guarded(turn, step.thread, () => carryOut(turn, thread, step));
}

/** What fails inside a thread is that thread's failure, and a Catch that fails is one more. */
async function guarded(turn: Turn, id: string, work: () => Promise<void> | void): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StateFailure)) throw error;
    const thread = turn.thread(id);
    if (thread === undefined) return;
    await handleFailure(turn, thread, error);
  }
}

async function carryOut(turn: Turn, thread: Thread, step: Step): Promise<void> {
  switch (step.kind) {
    case 'enter':
      return enter(turn, thread);
    case 'work':
      return work(turn, thread, stateOf(turn, thread));
    case 'result':
      return leaveWithResult(turn, thread, step.result);
    case 'childEnded':
    case 'childFailed':
      return childDone(turn, thread, step);
  }
}

async function enter(turn: Turn, thread: Thread): Promise<void> {
  const state = stateOf(turn, thread);
  const { state: name, input } = thread;
  const enteredEventId = turn.record(thread, `${state.Type}StateEntered`, { state: name, input });
  const entered = turn.put({ ...thread, enteredAtMs: turn.nowMs, enteredEventId });
  await work(turn, entered, state);
}

async function work(turn: Turn, thread: Thread, state: State): Promise<void> {
  switch (state.Type) {
    case 'Pass':
      return pass(turn, thread, state);
    case 'Choice':
      return choose(turn, thread, state);
    case 'Wait':
      return wait(turn, thread, state);
    case 'Succeed':
      return succeed(turn, thread, state);
    case 'Fail':
      return fail(turn, thread, state);
    case 'Task':
      return beginTask(turn, thread, state);
    case 'Parallel':
      return beginBranches(turn, thread, state);
    case 'Map':
      return beginItems(turn, thread, state);
  }
}

async function childDone(
  turn: Turn,
  thread: Thread,
  step: Step & { readonly kind: 'childEnded' | 'childFailed' },
): Promise<void> {
  const { waitsFor } = thread;
  const { child } = step;
  if (waitsFor.kind === 'branches') {
    if (step.kind === 'childFailed') branchFailed(turn, thread, waitsFor, child, step.failure);
    else branchEnded(turn, thread, waitsFor, child, step.output);
    return;
  }
  const state = stateOf(turn, thread);
  if (waitsFor.kind !== 'items' || state.Type !== 'Map') return;
  if (step.kind === 'childFailed') await itemFailed(turn, thread, state, waitsFor, child, step.failure);
  else await itemEnded(turn, thread, state, waitsFor, child, step.output);
}

/** Everything an execution has asked for and not got: to be asked again after a crash. */
export function outstanding(execution: Execution): readonly Effect[] {
  const { deadline } = execution;
  const ofThreads = Object.values(execution.threads).flatMap(({ waitsFor }): Effect[] => {
    if ('timer' in waitsFor) return [{ type: 'setTimer', timer: waitsFor.timer, atMs: waitsFor.atMs }];
    if (!('request' in waitsFor)) return [];
    const atMs = waitsFor.kind === 'task' ? dueAtMs(waitsFor) : waitsFor.timeoutAtMs;
    return [waitsFor.request, { type: 'setTimer', timer: waitsFor.request.task, atMs }];
  });
  return deadline === undefined ? ofThreads : [{ type: 'setTimer', ...deadline }, ...ofThreads];
}
