/** What a Map state says of its items: where they come from, how many at a time, how many may fail. */
import { isDistributed, type MapState } from './definition.ts';
import type { ItemsWait, Thread } from './execution.ts';
import { queryFailure, runtimeFailure, StateFailure } from './failure.ts';
import { numberField } from './fields.ts';
import { isArray, type Json, type JsonObject } from './json.ts';
import { fillQuery, fillQueryOf } from './jsonata-expression.ts';
import { MAX_PAYLOAD_BYTES, sizeBytes } from './payload.ts';
import { pathScope, queryScope } from './scopes.ts';
import { evaluateStatePath, fillTemplate } from './template.ts';
import { isJsonata, type Turn } from './turn.ts';

/** Where the state sets none. AWS has the first, too; of a distributed Map ten thousand, which only says when each begins. */
const INLINE_CONCURRENCY = 40;
const DISTRIBUTED_CONCURRENCY = 1_000;

export interface MapLimits {
  readonly maxConcurrency: number;
  readonly tolerated: ItemsWait['tolerated'];
}

export async function mapLimits(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
): Promise<MapLimits> {
  const scope = pathScope(turn, thread, input);
  const read = (field: 'MaxConcurrency' | 'ToleratedFailureCount' | 'ToleratedFailurePercentage') =>
    numberField(turn, thread, field, { value: state[field], path: state[`${field}Path`], scope });
  const concurrency = await read('MaxConcurrency');
  const percentage = await read('ToleratedFailurePercentage');
  const count = await read('ToleratedFailureCount');
  if (percentage !== undefined && (percentage < 0 || percentage > 100)) {
    throw runtimeFailure('ToleratedFailurePercentage must be between 0 and 100.');
  }
  if (count !== undefined && count < 0) throw runtimeFailure('ToleratedFailureCount must be positive.');
  const byDefault = isDistributed(state) ? DISTRIBUTED_CONCURRENCY : INLINE_CONCURRENCY;
  return {
    maxConcurrency: concurrency === undefined || concurrency <= 0 ? byDefault : concurrency,
    tolerated: { ...(count !== undefined && { count }), ...(percentage !== undefined && { percentage }) },
  };
}

/** Of a Map without ItemReader. */
export async function ownItems(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
): Promise<readonly Json[]> {
  if (isJsonata(turn, state)) {
    if (state.Items !== undefined) {
      const items = await fillQueryOf('array', 'Items', state.Items, queryScope(turn, thread));
      return isArray(items) ? items : [];
    }
    if (isArray(input)) return input;
    throw queryFailure(`Map state input must be an array but was: ${JSON.stringify(input)}`);
  }
  const path = state.ItemsPath ?? '$';
  const items = evaluateStatePath(path, pathScope(turn, thread, input));
  if (isArray(items)) return items;
  throw runtimeFailure(`Reference path "${path}" must point to array.`);
}

/** What an iteration begins with. */
export async function itemInput(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
  item: JsonObject,
): Promise<Json> {
  const selector = state.ItemSelector ?? (isJsonata(turn, state) ? undefined : state.Parameters);
  if (selector === undefined) return item.Value ?? null;
  if (isJsonata(turn, state)) {
    return fillQuery('ItemSelector', selector, queryScope(turn, thread, {}, { item }));
  }
  return fillTemplate(selector, pathScope(turn, thread, input, { item }), turn.entropy);
}

type Target = { readonly Parameters?: JsonObject | undefined; readonly Arguments?: Json | undefined };

/** Parameters or Arguments of an ItemReader or ResultWriter. */
export async function targetArguments(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
  field: 'ItemReader' | 'ResultWriter',
  target: Target,
): Promise<Json> {
  if (isJsonata(turn, state)) {
    return fillQuery(`${field}/Arguments`, target.Arguments ?? {}, queryScope(turn, thread));
  }
  return fillTemplate(target.Parameters ?? {}, pathScope(turn, thread, input), turn.entropy);
}

/** The reader's configuration with MaxItems as a number; 0 stands for no limit. */
export async function readerConfig(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
): Promise<JsonObject> {
  const { MaxItems, MaxItemsPath, ...rest } = state.ItemReader?.ReaderConfig ?? {};
  const scope = pathScope(turn, thread, input);
  const maxItems = await numberField(turn, thread, 'MaxItems', {
    value: MaxItems,
    path: MaxItemsPath,
    scope,
  });
  if (maxItems !== undefined && maxItems < 0) {
    throw new StateFailure(
      { error: 'States.ItemReaderFailed', cause: 'field MaxItems must be positive' },
      false,
    );
  }
  const config = { ...rest, ...(maxItems !== undefined && { MaxItems: maxItems }) };
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
  );
}

/** Items put together, each batch below both limits and what a state may be given; one item alone may be larger. */
export async function batched(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
  items: readonly Json[],
): Promise<readonly Json[]> {
  const batcher = state.ItemBatcher;
  if (batcher === undefined) return items;
  const scope = pathScope(turn, thread, input);
  const read = (field: 'MaxItemsPerBatch' | 'MaxInputBytesPerBatch') =>
    numberField(turn, thread, field, { value: batcher[field], path: batcher[`${field}Path`], scope });
  const maxItems = (await read('MaxItemsPerBatch')) ?? Number.POSITIVE_INFINITY;
  const maxBytes = (await read('MaxInputBytesPerBatch')) ?? Number.POSITIVE_INFINITY;
  const shared = await batchInput(turn, thread, state, input, batcher.BatchInput);
  const around = { ...(shared !== undefined && { BatchInput: shared }), Items: [] };
  const limitBytes = Math.min(maxBytes, MAX_PAYLOAD_BYTES - sizeBytes(around));
  const batches: Json[][] = [];
  let bytes = 0;
  for (const item of items) {
    const size = sizeBytes(item);
    const last = batches.at(-1);
    // With the commas between them.
    if (last === undefined || last.length >= maxItems || bytes + size + last.length > limitBytes) {
      batches.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return batches.map((Items) => ({ ...around, Items }));
}

async function batchInput(
  turn: Turn,
  thread: Thread,
  state: MapState,
  input: Json,
  given: Json | undefined,
): Promise<Json | undefined> {
  if (given === undefined) return undefined;
  if (isJsonata(turn, state)) return fillQuery('ItemBatcher/BatchInput', given, queryScope(turn, thread));
  return fillTemplate(given, pathScope(turn, thread, input), turn.entropy);
}
