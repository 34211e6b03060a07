/** States that need nothing from outside but, of Wait, the time: Pass, Choice, Wait, Succeed and Fail. */
import { ruleHolds } from './choice.ts';
import type { ChoiceState, FailState, PassState, StateOf, WaitState } from './definition.ts';
import type { Thread } from './execution.ts';
import { queryFailure, runtimeFailure, StateFailure } from './failure.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { fillQuery, fillQueryOf, isExpression } from './jsonata-expression.ts';
import { evaluatePath, PathNotFound } from './jsonpath.ts';
import { leaveWithResult, type OutputFields, passThrough } from './leave.ts';
import { pathScope, queryScope } from './scopes.ts';
import { evaluateField, fillTemplate } from './template.ts';
import { parseTimestamp } from './timestamp.ts';
import { isJsonata, type Turn } from './turn.ts';
import { effectiveInput } from './work-input.ts';

export async function pass(turn: Turn, thread: Thread, state: PassState): Promise<void> {
  if (isJsonata(turn, state)) return passThrough(turn, thread, thread.input, state, state.Next);
  const input = effectiveInput(turn, thread, state);
  if (state.Result !== undefined) return leaveWithResult(turn, thread, state.Result);
  const made =
    state.Parameters === undefined
      ? input
      : fillTemplate(state.Parameters, pathScope(turn, thread, input), turn.entropy);
  return leaveWithResult(turn, thread, made);
}

export async function succeed(turn: Turn, thread: Thread, state: StateOf<'Succeed'>): Promise<void> {
  const input = isJsonata(turn, state) ? thread.input : effectiveInput(turn, thread, state);
  return passThrough(turn, thread, input, state, undefined);
}

export async function choose(turn: Turn, thread: Thread, state: ChoiceState): Promise<void> {
  const jsonata = isJsonata(turn, state);
  const input = jsonata ? thread.input : effectiveInput(turn, thread, state);
  for (const [at, rule] of state.Choices.entries()) {
    const holds = jsonata
      ? await conditionHolds(turn, thread, rule, at)
      : ruleHolds(rule, pathScope(turn, thread, input));
    if (!holds) continue;
    const fields: OutputFields = { ...ruleOutput(rule), OutputPath: state.OutputPath };
    return passThrough(turn, thread, input, fields, String(rule.Next));
  }
  if (state.Default !== undefined) return passThrough(turn, thread, input, state, state.Default);
  throw new StateFailure({
    error: 'States.NoChoiceMatched',
    cause: 'Failed to transition out of the state. The state does not point to a next state.',
  });
}

/** A rule that matches says Assign and Output itself; the state's own are for the Default. */
function ruleOutput(rule: JsonObject): OutputFields {
  const { Assign, Output } = rule;
  return { ...(isObject(Assign) && { Assign }), ...(Output !== undefined && { Output }) };
}

async function conditionHolds(turn: Turn, thread: Thread, rule: JsonObject, at: number): Promise<boolean> {
  const condition = rule.Condition ?? null;
  const field = `Choices[${at}]/Condition`;
  return (await fillQueryOf('boolean', field, condition, queryScope(turn, thread))) === true;
}

export async function fail(turn: Turn, thread: Thread, state: FailState): Promise<never> {
  const error = await failText(turn, thread, state, 'Error');
  const cause = await failText(turn, thread, state, 'Cause');
  throw new StateFailure(
    { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) },
    false,
  );
}

async function failText(
  turn: Turn,
  thread: Thread,
  state: FailState,
  field: 'Error' | 'Cause',
): Promise<string | undefined> {
  const path = state[`${field}Path`];
  const written = state[field];
  if (isJsonata(turn, state)) {
    if (written === undefined) return undefined;
    return asText(await fillQuery(field, written, queryScope(turn, thread)));
  }
  if (path === undefined) return written;
  return asText(evaluateField(`${field}Path`, path, pathScope(turn, thread, thread.input), turn.entropy));
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The most that AWS waits: seconds that fit 31 bits. */
const LONGEST_WAIT_MS = (2 ** 31 - 1) * 1_000;

export async function wait(turn: Turn, thread: Thread, state: WaitState): Promise<void> {
  const atMs = await wakeTime(turn, thread, state);
  if (atMs - turn.nowMs > LONGEST_WAIT_MS) throw runtimeFailure('Wait state delay is too long.');
  if (atMs <= turn.nowMs) return afterWait(turn, thread, state);
  const timer = turn.newId('timer');
  turn.put({ ...thread, waitsFor: { kind: 'time', timer, atMs } });
  turn.setTimer({ timer, atMs });
}

export async function afterWait(turn: Turn, thread: Thread, state: WaitState): Promise<void> {
  const input = isJsonata(turn, state) ? thread.input : effectiveInput(turn, thread, state);
  return passThrough(turn, thread, input, state, state.Next);
}

async function wakeTime(turn: Turn, thread: Thread, state: WaitState): Promise<number> {
  if (state.SecondsPath !== undefined) {
    return turn.nowMs + secondsAt(turn, thread, state, state.SecondsPath) * 1_000;
  }
  if (state.TimestampPath !== undefined) return timeAt(turn, thread, state, state.TimestampPath);
  if (state.Timestamp !== undefined) return timestampField(turn, thread, state.Timestamp);
  const seconds = isExpression(state.Seconds ?? null)
    ? await fillQueryOf('number', 'Seconds', state.Seconds ?? null, queryScope(turn, thread))
    : state.Seconds;
  if (typeof seconds !== 'number' || seconds < 0) {
    throw queryFailure(`The Seconds field has a negative value: ${String(seconds)}`);
  }
  return turn.nowMs + seconds * 1_000;
}

async function timestampField(turn: Turn, thread: Thread, written: string): Promise<number> {
  const text = isExpression(written)
    ? asText(await fillQueryOf('string', 'Timestamp', written, queryScope(turn, thread)))
    : written;
  const instant = parseTimestamp(text);
  if (instant !== undefined) return instant.ms;
  throw queryFailure(
    `The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: ${text}`,
  );
}

function secondsAt(turn: Turn, thread: Thread, state: WaitState, path: string): number {
  const value = pathValue(turn, thread, state, 'SecondsPath', path);
  const said = `${path} == ${asText(value)}`;
  const number = typeof value === 'string' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) {
    throw runtimeFailure(`The SecondsPath parameter cannot be parsed as a long value: ${said}`);
  }
  if (number < 0) throw runtimeFailure(`The SecondsPath parameter references a negative value: ${said}`);
  return number;
}

function timeAt(turn: Turn, thread: Thread, state: WaitState, path: string): number {
  const text = asText(pathValue(turn, thread, state, 'TimestampPath', path));
  const instant = parseTimestamp(text);
  if (instant !== undefined) return instant.ms;
  throw runtimeFailure(
    'The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: ' +
      `${path} == ${text}`,
  );
}

function pathValue(turn: Turn, thread: Thread, state: WaitState, field: string, path: string): Json {
  try {
    return evaluatePath(path, pathScope(turn, thread, effectiveInput(turn, thread, state)));
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(`The ${field} parameter does not reference an input value: ${path}`);
  }
}
