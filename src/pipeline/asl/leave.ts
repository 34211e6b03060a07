/** How a state is left: its result becomes its output and its variables, and the thread goes on or ends. */

import type { Thread } from './execution.ts';
import type { Json, JsonObject } from './json.ts';
import { isObject } from './json.ts';
import { fillQuery } from './jsonata-expression.ts';
import type { PathScope } from './jsonpath.ts';
import { payloadFailure } from './payload.ts';
import { putAt } from './result-path.ts';
import type { State } from './schema.ts';
import { pathScope, queryScope } from './scopes.ts';
import { evaluateStatePath, fillTemplate } from './template.ts';
import { isJsonata, stateOf, type Turn } from './turn.ts';

/** What a state says about its output; of a Choice, its matching rule may say it instead. */
export interface OutputFields {
  readonly Assign?: JsonObject | undefined;
  readonly Output?: Json | undefined;
  readonly ResultSelector?: JsonObject | undefined;
  readonly ResultPath?: string | null | undefined;
  readonly OutputPath?: string | null | undefined;
}

interface Left {
  readonly output: Json;
  readonly assigned?: JsonObject;
}

/** After the work of a state was done. */
export async function leaveWithResult(turn: Turn, thread: Thread, result: Json): Promise<void> {
  const state = stateOf(turn, thread);
  const fields: OutputFields = state.Type === 'Fail' ? {} : state;
  const left = isJsonata(turn, state)
    ? await queriedOutput(turn, thread, fields, { result }, result)
    : pathOutput(turn, thread, fields, result);
  goOn(turn, thread, state, nextOf(state), left);
}

/** Of Choice, Wait and Succeed, which have no result: their input passes through. */
export async function passThrough(
  turn: Turn,
  thread: Thread,
  input: Json,
  fields: OutputFields,
  next: string | undefined,
): Promise<void> {
  const state = stateOf(turn, thread);
  const left = isJsonata(turn, state)
    ? await queriedOutput(turn, thread, fields, {}, thread.input)
    : plainOutput(turn, thread, fields, input);
  goOn(turn, thread, state, next, left);
}

function plainOutput(turn: Turn, thread: Thread, fields: OutputFields, input: Json): Left {
  const scope = pathScope(turn, thread, input);
  const assigned = fields.Assign && assignedBy(turn, fields.Assign, scope);
  return { output: outputAt(fields.OutputPath, scope), ...(assigned && { assigned }) };
}

/** Variables are those of before: Assign and Output are evaluated side by side. */
function pathOutput(turn: Turn, thread: Thread, fields: OutputFields, result: Json): Left {
  const scope = pathScope(turn, thread, result);
  // `$` of Assign is the result as it came, not what ResultSelector makes of it.
  const assigned = fields.Assign && assignedBy(turn, fields.Assign, scope);
  const selected = fields.ResultSelector ? fillTemplate(fields.ResultSelector, scope, turn.entropy) : result;
  const merged = merge(fields.ResultPath, thread.input, selected);
  return { output: outputAt(fields.OutputPath, { ...scope, input: merged }), ...(assigned && { assigned }) };
}

function merge(path: string | null | undefined, input: Json, result: Json): Json {
  if (path === null) return input;
  return path === undefined ? result : putAt(path, input, result);
}

function outputAt(path: string | null | undefined, scope: PathScope): Json {
  if (path === null) return {};
  return path === undefined ? scope.input : evaluateStatePath(path, scope);
}

function assignedBy(turn: Turn, assign: JsonObject, scope: PathScope): JsonObject {
  return objectOf(fillTemplate(assign, scope, turn.entropy));
}

async function queriedOutput(
  turn: Turn,
  thread: Thread,
  fields: OutputFields,
  states: JsonObject,
  byDefault: Json,
): Promise<Left> {
  const scope = queryScope(turn, thread, states);
  const assigned = fields.Assign && objectOf(await fillQuery('Assign', fields.Assign, scope));
  const output = fields.Output === undefined ? byDefault : await fillQuery('Output', fields.Output, scope);
  return { output, ...(assigned && { assigned }) };
}

function objectOf(value: Json): JsonObject {
  return isObject(value) ? value : {};
}

/** After a Catch took the error output. */
export async function leaveCaught(
  turn: Turn,
  thread: Thread,
  fields: OutputFields & { readonly Next: string },
  errorOutput: JsonObject,
): Promise<void> {
  const state = stateOf(turn, thread);
  const left = isJsonata(turn, state)
    ? await queriedOutput(turn, thread, fields, { errorOutput }, errorOutput)
    : pathOutput(turn, thread, fields, errorOutput);
  goOn(turn, thread, state, fields.Next, left);
}

function nextOf(state: State): string | undefined {
  return 'Next' in state ? state.Next : undefined;
}

function goOn(turn: Turn, thread: Thread, state: State, next: string | undefined, left: Left): void {
  const { output, assigned } = left;
  // What passes through has been measured when it came to be.
  const tooLarge = output === thread.input ? undefined : payloadFailure(thread.state, output);
  if (tooLarge !== undefined) throw tooLarge;
  turn.record(thread, `${state.Type}StateExited`, {
    state: thread.state,
    output,
    ...(assigned && { assigned }),
  });
  const variables = assigned ? { ...thread.variables, ...assigned } : thread.variables;
  if (next !== undefined) {
    turn.put({ ...thread, state: next, input: output, variables, retries: [], waitsFor: { kind: 'turn' } });
    turn.next({ kind: 'enter', thread: thread.id });
    return;
  }
  if (thread.parent !== undefined) {
    turn.put({ ...thread, waitsFor: { kind: 'turn' } });
    turn.next({ kind: 'childEnded', thread: thread.parent.thread, child: thread.id, output });
    return;
  }
  turn.end({ status: 'SUCCEEDED', output }, 'ExecutionSucceeded');
}
