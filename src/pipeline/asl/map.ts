/**
 * Map states. Inline, an iteration is a thread of the same history and one failure fails the state. Distributed,
 * each item (or batch) is a child execution with a history, variables and a context of its own, items may come
 * from a reader, results may go to a writer, and so many may fail as the state tolerates.
 */
import { isDistributed, type MapState, processorOf } from './definition.ts';
import type { ItemsWait, ReadItems, Thread, Wait } from './execution.ts';
import { type Failure, StateFailure } from './failure.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { childExecution, finishRun, transferTimeoutAtMs, withEnded } from './map-run.ts';
import { batched, itemInput, mapLimits, ownItems, readerConfig, targetArguments } from './map-settings.ts';
import { abort } from './stopping.ts';
import { isJsonata, type Turn } from './turn.ts';
import { effectiveInput } from './work-input.ts';

export async function beginItems(turn: Turn, thread: Thread, state: MapState): Promise<void> {
  const input = mapInput(turn, thread, state);
  if (isDistributed(state) && state.ItemReader !== undefined) {
    await beginReading(turn, thread, state, input);
    return;
  }
  const items = await ownItems(turn, thread, state, input);
  turn.record(thread, 'MapStateStarted', { state: thread.state });
  await mapLimits(turn, thread, state, input);
  const mapRun = isDistributed(state) ? turn.entropy.uuid() : undefined;
  if (mapRun !== undefined) turn.record(thread, 'MapRunStarted', { state: thread.state });
  await startItems(turn, thread, state, items, mapRun);
}

function mapInput(turn: Turn, thread: Thread, state: MapState): Json {
  return isJsonata(turn, state) ? thread.input : effectiveInput(turn, thread, state);
}

async function beginReading(turn: Turn, thread: Thread, state: MapState, input: Json): Promise<void> {
  const reader = state.ItemReader;
  if (reader === undefined) return;
  turn.record(thread, 'MapStateStarted', { state: thread.state });
  await mapLimits(turn, thread, state, input);
  turn.record(thread, 'MapRunStarted', { state: thread.state });
  const mapRun = turn.entropy.uuid();
  // From here on a failure is one of the run.
  const begun = turn.put({ ...thread, waitsFor: emptyRun(mapRun) });
  const request: ReadItems = {
    type: 'readItems',
    task: turn.newId('task'),
    state: thread.state,
    resource: reader.Resource,
    arguments: await targetArguments(turn, begun, state, input, 'ItemReader', reader),
    config: await readerConfig(turn, begun, state, input),
  };
  const timeoutAtMs = transferTimeoutAtMs(turn, reader.Resource);
  turn.put({ ...begun, waitsFor: { kind: 'reading', request, timeoutAtMs, mapRun } });
  turn.effects.push(request);
  turn.setTimer({ timer: request.task, atMs: timeoutAtMs });
}

function emptyRun(mapRun: string): ItemsWait {
  return {
    kind: 'items',
    items: [],
    threads: [],
    next: 0,
    outputs: [],
    failed: [],
    done: 0,
    maxConcurrency: 1,
    tolerated: {},
    mapRun,
  };
}

export async function itemsRead(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: Wait & { readonly kind: 'reading' },
  items: readonly Json[],
): Promise<void> {
  turn.effects.push({ type: 'clearTimer', timer: wait.request.task });
  const begun = turn.put({ ...thread, waitsFor: emptyRun(wait.mapRun) });
  const limit = wait.request.config.MaxItems;
  const taken = typeof limit === 'number' && limit > 0 ? items.slice(0, limit) : items;
  await startItems(turn, begun, state, taken, wait.mapRun);
}

async function startItems(
  turn: Turn,
  thread: Thread,
  state: MapState,
  given: readonly Json[],
  mapRun: string | undefined,
): Promise<void> {
  const input = mapInput(turn, thread, state);
  const limits = await mapLimits(turn, thread, state, input);
  const items = await batched(turn, thread, state, input, await selected(turn, thread, state, given));
  const waitsFor: ItemsWait = {
    kind: 'items',
    items,
    threads: [],
    next: 0,
    outputs: items.map(() => null),
    failed: [],
    done: 0,
    ...limits,
    ...(mapRun !== undefined && { mapRun }),
  };
  await goOn(turn, turn.put({ ...thread, waitsFor }), state, waitsFor);
}

/** A batch holds selected items; without batches each is selected when its turn comes. */
async function selected(
  turn: Turn,
  thread: Thread,
  state: MapState,
  items: readonly Json[],
): Promise<readonly Json[]> {
  if (state.ItemBatcher === undefined) return items;
  const input = mapInput(turn, thread, state);
  const inputs: Json[] = [];
  for (const [Index, Value] of items.entries()) {
    inputs.push(await itemInput(turn, thread, state, input, { Index, Value }));
  }
  return inputs;
}

/** Starts as many items as may run, and ends the state when all are done. */
async function goOn(turn: Turn, thread: Thread, state: MapState, wait: ItemsWait): Promise<void> {
  const free = Math.min(wait.maxConcurrency - wait.threads.length, wait.items.length - wait.next);
  const started: string[] = [];
  for (let index = wait.next; index < wait.next + free; index += 1) {
    started.push(await startItem(turn, thread, state, wait, index));
  }
  const now: ItemsWait = {
    ...wait,
    threads: [...wait.threads, ...started],
    next: wait.next + Math.max(free, 0),
  };
  const kept = turn.put({ ...thread, waitsFor: now });
  if (now.done === now.items.length) await finishRun(turn, kept, state, now, mapInput(turn, kept, state));
}

async function startItem(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: ItemsWait,
  index: number,
): Promise<string> {
  const id = turn.newId('thread');
  const item: JsonObject = { Index: index, Value: wait.items[index] ?? null };
  if (wait.mapRun === undefined) turn.record(thread, 'MapIterationStarted', { state: thread.state });
  const input =
    state.ItemBatcher === undefined
      ? await itemInput(turn, thread, state, mapInput(turn, thread, state), item)
      : (item.Value ?? null);
  const { item: _, ...outer } = thread;
  const common = {
    ...outer,
    id,
    parent: { thread: thread.id, index },
    level: [...thread.level, { state: thread.state }],
    state: processorOf(state).StartAt,
    input,
    variables: {},
    retries: [],
    waitsFor: { kind: 'turn' },
  } as const;
  if (wait.mapRun === undefined) turn.put({ ...common, item });
  else {
    turn.put({ ...common, scope: id, child: childExecution(turn, thread, state, input) });
    turn.record({ scope: id }, 'ExecutionStarted', { input });
  }
  turn.next({ kind: 'enter', thread: id });
  return id;
}

export async function itemEnded(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: ItemsWait,
  child: string,
  output: Json,
): Promise<void> {
  const ended = turn.thread(child);
  if (ended?.parent === undefined) return;
  if (wait.mapRun === undefined) turn.record(thread, 'MapIterationSucceeded', { state: thread.state });
  else closeChild(turn, ended, 'ExecutionSucceeded');
  turn.remove(child);
  await goOn(turn, thread, state, {
    ...wait,
    threads: wait.threads.filter((id) => id !== child),
    outputs: wait.outputs.with(ended.parent.index, output),
    done: wait.done + 1,
    ...withEnded(turn, state, wait, ended),
  });
}

/** Throws the failure as the state's own, unless so many may fail. */
export async function itemFailed(
  turn: Turn,
  thread: Thread,
  state: MapState,
  wait: ItemsWait,
  child: string,
  failure: Failure,
): Promise<void> {
  const ended = turn.thread(child);
  if (ended?.parent === undefined) return;
  turn.remove(child);
  const threads = wait.threads.filter((id) => id !== child);
  if (wait.mapRun === undefined) {
    turn.record(thread, 'MapIterationFailed', { state: thread.state });
    for (const other of threads) abort(turn, other);
    turn.put({ ...thread, waitsFor: { kind: 'turn' } });
    throw new StateFailure(failure, false);
  }
  closeChild(turn, ended, 'ExecutionFailed');
  const failed = [...wait.failed, ended.parent.index];
  const children = withEnded(turn, state, wait, ended, failure);
  const now: ItemsWait = { ...wait, threads, failed, done: wait.done + 1, ...children };
  if (isTolerated(state, now)) return goOn(turn, thread, state, now);
  for (const other of threads) abort(turn, other);
  turn.put({ ...thread, waitsFor: { ...now, threads: [] } });
  throw new StateFailure(
    {
      error: 'States.ExceedToleratedFailureThreshold',
      cause: 'The specified tolerated failure threshold was exceeded',
    },
    false,
  );
}

/** Items are counted, not the batches that they are in: with one, all its items have failed. */
function isTolerated(state: MapState, { failed, items, tolerated }: ItemsWait): boolean {
  const { count, percentage } = tolerated;
  if (count === undefined && percentage === undefined) return false;
  const counted = (children: readonly (Json | undefined)[]) =>
    state.ItemBatcher === undefined
      ? children.length
      : children.reduce<number>((sum, batch) => sum + itemsIn(batch), 0);
  const failedItems = counted(failed.map((index) => items[index]));
  if (count !== undefined && failedItems > count) return false;
  return percentage === undefined || (failedItems / counted(items)) * 100 <= percentage;
}

function itemsIn(batch: Json | undefined): number {
  return isObject(batch) && isArray(batch.Items) ? batch.Items.length : 0;
}

/** A child's history ends with it. */
function closeChild(turn: Turn, child: Thread, type: string): void {
  turn.record(child, type);
  turn.closeScope(child.scope);
}
