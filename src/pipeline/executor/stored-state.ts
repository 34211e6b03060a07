/** From what is stored to the state of an execution. The types are Kiln's own, guarded by the schema's version. */
import type { ExecutionRecord, ExecutionSignal, StoredExecution } from '../../domain/ports/executions.ts';
import { advance, pendingExecution } from '../asl/advance.ts';
import type { StateMachine } from '../asl/definition.ts';
import type { Beginning, Execution, ExecutionEvent, HistoryRecord } from '../asl/execution.ts';
import { MAIN } from '../asl/execution.ts';
import { isObject, type Json } from '../asl/json.ts';
import { OUTCOME_UNKNOWN } from '../task.ts';

/** Events that a load has to apply again at most; of a Map with many items one more for each ten of them. */
const SNAPSHOT_EVERY = 25;
const ITEMS_FOR_EVENT = 10;

/** A state of many items is large: to write it again for every few events of theirs would cost their square. */
export function snapshotIsDue({ threads }: Execution, eventsSince: number): boolean {
  if (eventsSince < SNAPSHOT_EVERY) return false;
  let items = 0;
  for (const { waitsFor } of Object.values(threads)) {
    if (waitsFor.kind === 'items') items += waitsFor.items.length;
  }
  return eventsSince >= SNAPSHOT_EVERY + items / ITEMS_FOR_EVENT;
}

function firstState(record: ExecutionRecord): Execution {
  const { id, pipeline, definition, createdAtMs } = record;
  const input = record.input as Json;
  const context = {
    Execution: { Id: id, Name: id, Input: input, StartTime: new Date(createdAtMs).toISOString() },
    StateMachine: { Id: definition, Name: pipeline },
  };
  return pendingExecution(input, context, record.begin as Beginning | undefined);
}

/** The snapshot, and the events since. */
export async function stateOf(machine: StateMachine, stored: StoredExecution): Promise<Execution> {
  let execution = stored.snapshot ? (stored.snapshot.state as Execution) : firstState(stored.record);
  for (const event of stored.events) {
    execution = (await advance(machine, execution, event as ExecutionEvent)).execution;
  }
  return execution;
}

export interface Replayed {
  readonly execution: Execution;
  readonly history: readonly HistoryRecord[];
  /** Where the machine itself was last, and with what. */
  readonly last?: Beginning;
  /** In the order in which they ended. */
  readonly tasks: readonly TaskEnded[];
}

/** One that said how it ended; a time-out is no such word. */
export interface TaskEnded {
  readonly state: string;
  /** 0 for the first; those after it are retries with the same input. */
  readonly attempt: number;
  readonly succeeded: boolean;
  /** What it did is not known: its server or its worker died with it. */
  readonly isLost?: true;
}

/** The whole way from the beginning: the same events give the same history. */
export async function replay(
  machine: StateMachine,
  record: ExecutionRecord,
  events: readonly unknown[],
): Promise<Replayed> {
  let execution = firstState(record);
  let last: Beginning | undefined;
  const history: HistoryRecord[] = [];
  const asked = new Map<string, Pick<TaskEnded, 'state' | 'attempt'>>();
  const tasks: TaskEnded[] = [];
  for (const event of events as readonly ExecutionEvent[]) {
    const ended = event.type === 'taskSucceeded' || event.type === 'taskFailed' ? event.task : undefined;
    const task = ended === undefined ? undefined : asked.get(ended);
    const isLost = event.type === 'taskFailed' && event.error === OUTCOME_UNKNOWN;
    if (task !== undefined)
      tasks.push({ ...task, succeeded: event.type === 'taskSucceeded', ...(isLost && { isLost }) });
    const advanced = await advance(machine, execution, event);
    execution = advanced.execution;
    for (const effect of advanced.effects) {
      if (effect.type === 'runTask') asked.set(effect.task, { state: effect.state, attempt: effect.attempt });
    }
    for (const entry of advanced.history) history.push(entry);
    const main = execution.threads[MAIN];
    last = main
      ? { state: main.state, input: main.input, variables: main.variables }
      : lastEntered(machine, advanced.history, last);
  }
  return { execution, history, tasks, ...(last && { last }) };
}

/** In a turn that ended the execution no thread is left: what it was at last is in the history. */
function lastEntered(
  machine: StateMachine,
  history: readonly HistoryRecord[],
  before: Beginning | undefined,
): Beginning | undefined {
  let last = before;
  for (const { scope, type, state, input, assigned } of history) {
    if (scope !== MAIN || state === undefined || !Object.hasOwn(machine.States, state)) continue;
    const variables = { ...last?.variables, ...assigned };
    if (type.endsWith('StateEntered')) last = { state, input: input ?? null, variables };
    else if (last !== undefined) last = { ...last, variables };
  }
  return last;
}

/** What a signal says, as an event without time and chance; undefined: nothing that is known here. */
export function signalEvent({ body }: ExecutionSignal): SignalBody | undefined {
  return isObject(body) && typeof body.type === 'string' ? (body as unknown as SignalBody) : undefined;
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;
export type EventPart = DistributiveOmit<ExecutionEvent, 'atMs' | 'entropy'>;
export type SignalBody = Extract<
  EventPart,
  { type: 'aborted' | 'taskSucceeded' | 'taskFailed' | 'taskHeartbeat' }
>;
