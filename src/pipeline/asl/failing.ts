/** What becomes of a failure: another try, a Catch, or the end of the thread and so perhaps of everything. */
import type { Retrier, WorkState } from './definition.ts';
import type { Thread } from './execution.ts';
import { type Failure, isHandled, meansFailure, StateFailure } from './failure.ts';
import type { JsonObject } from './json.ts';
import { leaveCaught } from './leave.ts';
import type { State } from './schema.ts';
import { stopWork } from './stopping.ts';
import { stateOf, type Turn } from './turn.ts';

const DEFAULTS = { IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 } as const;

export async function handleFailure(turn: Turn, thread: Thread, thrown: StateFailure): Promise<void> {
  const state = stateOf(turn, thread);
  const failure = seen(turn, thread, thrown);
  stopWork(turn, thread);
  const handler = isWork(state) && isHandled(failure) ? state : undefined;
  if (handler !== undefined && retry(turn, thread, handler, failure)) return;
  if (isHandled(failure)) recordFailed(turn, thread, state, failure);
  try {
    if (handler !== undefined && (await caught(turn, thread, handler, failure))) return;
  } catch (error) {
    if (!(error instanceof StateFailure)) throw error;
    failThread(turn, thread, seen(turn, thread, error));
    return;
  }
  failThread(turn, thread, failure);
}

/** With AWS's opening words, and recorded where AWS records it. */
function seen(turn: Turn, thread: Thread, thrown: StateFailure): Failure {
  const failure = thrown.located ? located(thread, thrown.failure) : thrown.failure;
  if (failure.error === 'States.QueryEvaluationError' && thrown.located) {
    turn.record(thread, 'EvaluationFailed', { state: thread.state, ...said(failure) });
  }
  return failure;
}

function isWork(state: State): state is WorkState {
  return state.Type === 'Task' || state.Type === 'Parallel' || state.Type === 'Map';
}

/** AWS's opening words. */
function located(thread: Thread, failure: Failure): Failure {
  const where = `An error occurred while executing the state '${thread.state}' (entered at the event id #${thread.enteredEventId}).`;
  return { ...failure, cause: `${where} ${failure.cause ?? ''}` };
}

function said(failure: Failure): Pick<Failure, 'error' | 'cause'> {
  const { error, cause } = failure;
  return { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
}

function recordFailed(turn: Turn, thread: Thread, state: State, failure: Failure): void {
  if (state.Type !== 'Parallel' && state.Type !== 'Map') return;
  if (isRunning(thread)) turn.record(thread, 'MapRunFailed', { state: thread.state, ...said(failure) });
  turn.record(thread, `${state.Type}StateFailed`, { state: thread.state, ...said(failure) });
}

/** Whether the run of a distributed Map has begun. */
function isRunning({ waitsFor }: Thread): boolean {
  return 'mapRun' in waitsFor && waitsFor.mapRun !== undefined;
}

/** The first Retry entry that means the failure decides; once used up, no later one is asked. */
function retry(turn: Turn, thread: Thread, state: WorkState, failure: Failure): boolean {
  const retriers = state.Retry ?? [];
  const at = retriers.findIndex(({ ErrorEquals }) => meansFailure(ErrorEquals, failure, true));
  const retrier = retriers[at];
  if (retrier === undefined) return false;
  const used = thread.retries[at] ?? 0;
  if (used >= (retrier.MaxAttempts ?? DEFAULTS.MaxAttempts)) return false;
  const retries = retriers.map((_, index) => (thread.retries[index] ?? 0) + (index === at ? 1 : 0));
  const timer = turn.newId('timer');
  const atMs = turn.nowMs + delayMs(turn, retrier, used);
  turn.put({ ...thread, retries, waitsFor: { kind: 'backOff', timer, atMs } });
  turn.setTimer({ timer, atMs });
  return true;
}

function delayMs(turn: Turn, retrier: Retrier, used: number): number {
  const { IntervalSeconds, BackoffRate, MaxDelaySeconds, JitterStrategy } = { ...DEFAULTS, ...retrier };
  const interval =
    (IntervalSeconds ?? DEFAULTS.IntervalSeconds) * (BackoffRate ?? DEFAULTS.BackoffRate) ** used;
  const seconds = Math.min(interval, MaxDelaySeconds ?? 99_999_999);
  return Math.round(seconds * 1_000 * (JitterStrategy === 'FULL' ? turn.entropy.fraction() : 1));
}

async function caught(turn: Turn, thread: Thread, state: WorkState, failure: Failure): Promise<boolean> {
  const catcher = state.Catch?.find(({ ErrorEquals }) => meansFailure(ErrorEquals, failure, true));
  if (catcher === undefined) return false;
  await leaveCaught(turn, thread, catcher, errorOutput(failure));
  return true;
}

function errorOutput({ error, cause, isSilent }: Failure): JsonObject {
  const missing = isSilent === true ? null : '';
  return { Error: error ?? missing, Cause: cause ?? missing };
}

function failThread(turn: Turn, thread: Thread, failure: Failure): void {
  if (thread.parent === undefined) {
    turn.end({ status: 'FAILED', ...said(failure) }, 'ExecutionFailed');
    return;
  }
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  turn.next({ kind: 'childFailed', thread: thread.parent.thread, child: thread.id, failure });
}
