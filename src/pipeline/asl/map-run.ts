/** The run of a distributed Map: how its children and itself are called, and what becomes of its results. */
import type { MapState } from './definition.ts';
import { endedChild } from './ended-child.ts';
import type { ItemsWait, MapChild, Thread, Wait, WriteResults } from './execution.ts';
import { type Failure, StateFailure } from './failure.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { targetArguments } from './map-settings.ts';
import { limitCause, limitFor, limitInForce } from './task-limit.ts';
import { timestampOf } from './timestamp.ts';
import type { Turn } from './turn.ts';

type WriterConfig = NonNullable<MapState['ResultWriter']>['WriterConfig'];

/** How long a reader or writer may take where nothing else is said. */
const TRANSFER_SECONDS = 3_600;

export function transferTimeoutAtMs({ machine, nowMs }: Turn, resource: string): number {
  const { seconds = TRANSFER_SECONDS } = limitFor(machine.limits, resource) ?? {};
  return nowMs + seconds * 1_000;
}

/** Throws: its time is over. */
export function transferTimedOut({ machine }: Turn, { kind, request: { resource } }: TransferInWait): never {
  const limit = limitFor(machine.limits, resource);
  const error = kind === 'reading' ? 'States.ItemReaderFailed' : 'States.ResultWriterFailed';
  const cause = limit ? limitCause(resource, limitInForce(limit, null), false) : 'No answer came in time.';
  throw new StateFailure({ error, cause }, false);
}

type TransferInWait = Wait & { readonly kind: 'reading' | 'writing' };

/** `Execution` of the context object of a child. */
export function childExecution(turn: Turn, thread: Thread, state: MapState, input: Json): JsonObject {
  const name = turn.entropy.uuid();
  return {
    Id: nameBeside(turn, 'execution', `${labelOf(thread, state)}:${name}`),
    Name: name,
    Input: input,
    StartTime: timestampOf(turn.nowMs),
  };
}

function labelOf(thread: Thread, state: MapState): string {
  return state.Label ?? thread.state;
}

/** AWS names runs and children after the machine; where the machine has no ARN, after whatever it is called. */
function nameBeside(turn: Turn, kind: 'execution' | 'mapRun', rest: string): string {
  const machine = turn.head.context.StateMachine;
  const id = isObject(machine) && typeof machine.Id === 'string' ? machine.Id : 'machine';
  return id.includes(':stateMachine:')
    ? `${id.replace(':stateMachine:', `:${kind}:`)}/${rest}`
    : `${kind}:${id}/${rest}`;
}

/** With one that has ended, where the state tells of it: its writer does, and so does a result that is left as it is. */
export function withEnded(
  turn: Turn,
  state: MapState,
  { children = [] }: ItemsWait,
  ended: Thread,
  failure?: Failure,
): Pick<ItemsWait, 'children'> {
  const { child, parent } = ended;
  const { Resource, WriterConfig } = state.ResultWriter ?? {};
  const isTold = Resource !== undefined || WriterConfig?.Transformation === 'NONE';
  if (!isTold || child === undefined || parent === undefined) return {};
  const one: MapChild = {
    index: parent.index,
    id: String(child.Id),
    name: String(child.Name),
    input: child.Input ?? null,
    startedAt: String(child.StartTime),
    endedAt: timestampOf(turn.nowMs),
    ...(failure && { failure }),
  };
  return { children: [...children, one] };
}

/** All items are done: what the state gives, or where its results are to be written. */
export async function finishRun(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: ItemsWait,
  input: Json,
): Promise<void> {
  const { mapRun } = wait;
  const writer = state.ResultWriter;
  const machine = turn.head.context.StateMachine;
  const machineId = isObject(machine) ? (machine.Id ?? null) : null;
  if (mapRun === undefined || writer?.Resource === undefined) {
    give(turn, thread, mapRun, transformed(wait, writer?.WriterConfig?.Transformation, machineId));
    return;
  }
  const request: WriteResults = {
    type: 'writeResults',
    task: turn.newId('task'),
    state: thread.state,
    resource: writer.Resource,
    arguments: await targetArguments(turn, thread, state, input, 'ResultWriter', writer),
    config: writerConfig(writer.WriterConfig),
    mapRunId: mapRun,
    mapRunArn: mapRunArn(turn, thread, state, mapRun),
    machine: machineId,
    outputs: wait.outputs,
    children: wait.children ?? [],
  };
  const timeoutAtMs = transferTimeoutAtMs(turn, writer.Resource);
  turn.put({ ...thread, waitsFor: { kind: 'writing', request, timeoutAtMs, mapRun } });
  turn.effects.push(request);
  turn.setTimer({ timer: request.task, atMs: timeoutAtMs });
}

function writerConfig({ OutputType, Transformation }: WriterConfig = {}): JsonObject {
  return { ...(OutputType && { OutputType }), ...(Transformation && { Transformation }) };
}

function mapRunArn(turn: Turn, thread: Thread, state: MapState, mapRun: string): string {
  return nameBeside(turn, 'mapRun', `${labelOf(thread, state)}:${mapRun}`);
}

function transformed(
  { outputs, failed, children = [] }: ItemsWait,
  transformation: string | undefined,
  machine: Json,
): Json {
  if (transformation === 'NONE') {
    const inOrder = children.toSorted((one, other) => one.index - other.index);
    return inOrder.map((child) => endedChild(child, outputs[child.index] ?? null, machine));
  }
  const good = outputs.filter((_, index) => !failed.includes(index));
  return transformation === 'FLATTEN'
    ? good.flatMap((output) => (isArray(output) ? output : [output]))
    : good;
}

export function resultsWritten(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: Wait & { readonly kind: 'writing' },
  details: Json,
): void {
  turn.effects.push({ type: 'clearTimer', timer: wait.request.task });
  give(turn, thread, wait.mapRun, {
    MapRunArn: mapRunArn(turn, thread, state, wait.mapRun),
    ResultWriterDetails: details,
  });
}

function give(turn: Turn, thread: Thread, mapRun: string | undefined, result: Json): void {
  if (mapRun !== undefined) turn.record(thread, 'MapRunSucceeded', { state: thread.state });
  turn.record(thread, 'MapStateSucceeded', { state: thread.state });
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  turn.next({ kind: 'result', thread: thread.id, result });
}
