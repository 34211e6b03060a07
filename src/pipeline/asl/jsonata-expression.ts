/**
 * JSONata as AWS runs it: `{% … %}` strings, bound to `$states`, the variables and AWS's own functions. The
 * library is asynchronous and large, so it is loaded when the first expression is met. Time and randomness come
 * from the event; an expression that does not end is stopped by a count of steps, never by a clock, so that a
 * replay ends as the first run did.
 */
import type { Expression } from 'jsonata';
import { queryFailure } from './failure.ts';
import { hash, IntrinsicRefusal, partition, range, stringToJson } from './intrinsic-functions.ts';
import { isArray, isObject, type Json, type JsonObject, typeName } from './json.ts';
import { type Entropy, seededFraction } from './random.ts';

export interface QueryScope {
  /** `$states`: input, context, and result or errorOutput. */
  readonly states: JsonObject;
  readonly variables: JsonObject;
  readonly nowMs: number;
  readonly entropy: Entropy;
}

const OPEN = '{%';
const CLOSE = '%}';
const MAX_STEPS = 1_000_000;
const MAX_DEPTH = 5_000;
const MAX_ITEMS = 1_000_000;
const COMPILED_LIMIT = 2_000;

export function isExpression(value: Json): value is string {
  return typeof value === 'string' && value.startsWith(OPEN) && value.endsWith(CLOSE) && value.length >= 4;
}

export function expressionText(written: string): string {
  return written.slice(OPEN.length, -CLOSE.length).trim();
}

/** What is wrong with the expression, or undefined. */
export async function syntaxFault(written: string): Promise<string | undefined> {
  try {
    await compiled(expressionText(written));
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Evaluates every expression inside a value. Throws StateFailure (`States.QueryEvaluationError`). */
export async function fillQuery(field: string, value: Json, scope: QueryScope): Promise<Json> {
  if (isExpression(value)) return evaluateExpression(field, value, scope);
  if (isArray(value)) {
    const items: Json[] = [];
    for (const [at, item] of value.entries()) items.push(await fillQuery(`${field}[${at}]`, item, scope));
    return items;
  }
  if (!isObject(value)) return value;
  const entries: [string, Json][] = [];
  for (const [key, item] of Object.entries(value)) {
    entries.push([key, await fillQuery(`${field}/${key}`, item, scope)]);
  }
  return Object.fromEntries(entries);
}

type Kind = ReturnType<typeof typeName>;

/** A field that has to be of some type, such as `Items`. */
export async function fillQueryOf(kind: Kind, field: string, value: Json, scope: QueryScope): Promise<Json> {
  const filled = await fillQuery(field, value, scope);
  if (typeName(filled) === kind) return filled;
  const subject = isExpression(value)
    ? `The JSONata expression '${expressionText(value)}' specified for the field '${field}' returned an`
    : `The field '${field}' has an`;
  throw queryFailure(
    `${subject} unexpected result type. Expected '${kind}', but was '${typeName(filled)}' for value: ${JSON.stringify(filled)}`,
  );
}

async function evaluateExpression(field: string, written: string, scope: QueryScope): Promise<Json> {
  const text = expressionText(written);
  const said = `The JSONata expression '${text}' specified for the field '${field}'`;
  let result: unknown;
  try {
    const expression = await compiled(text);
    result = await expression.evaluate(undefined, bindingsOf(scope));
  } catch (error) {
    throw queryFailure(`${said} threw an error during evaluation. ${messageOf(error)}`);
  }
  if (result === undefined) throw queryFailure(`${said} returned nothing (undefined).`);
  const plain = plainJson(result);
  if (plain === undefined) throw queryFailure(`${said} returned an unsupported result type.`);
  return plain;
}

const expressions = new Map<string, Expression>();

async function compiled(text: string): Promise<Expression> {
  const known = expressions.get(text);
  if (known !== undefined) return known;
  const { default: jsonata } = await import('jsonata');
  const expression = jsonata(text, { stack: MAX_DEPTH, sequence: MAX_ITEMS });
  limitSteps(expression);
  if (expressions.size >= COMPILED_LIMIT) expressions.clear();
  expressions.set(text, expression);
  return expression;
}

/** The library tells of every step it takes; each evaluation has a base frame of its own, by which steps are counted. */
function limitSteps(expression: Expression): void {
  const steps = new WeakMap<object, number>();
  const count = (_: unknown, __: unknown, frame: { readonly base: object }): void => {
    const taken = (steps.get(frame.base) ?? 0) + 1;
    if (taken > MAX_STEPS)
      throw new ExpressionLimit('The expression does not end: check for an infinite loop');
    steps.set(frame.base, taken);
  };
  // The library's own name for the hook is a symbol, which its types leave out.
  Reflect.apply(expression.assign, expression, [Symbol.for('jsonata.__evaluate_entry'), count]);
}

/** What JSONata itself would take from the clock or from chance is given by the event; `$eval` is refused by AWS. */
function bindingsOf(scope: QueryScope): Record<string, unknown> {
  return {
    ...scope.variables,
    states: scope.states,
    now: (picture?: string, zone?: string) => formatTime(scope.nowMs, picture, zone),
    millis: () => scope.nowMs,
    random: (seed?: number) => (seed === undefined ? scope.entropy.fraction() : seededFraction(seed)),
    uuid: () => scope.entropy.uuid(),
    parse: (text?: string) => (text === undefined ? undefined : stringToJson(text)),
    hash: (data: Json, algorithm: string) => hash(data, algorithm),
    partition: (items: Json, size: number) => partition(isArray(items) ? items : [items], Math.max(size, 1)),
    range: (first: number, last: number, step: number) => sequence(range(first, last, step)),
    eval: undefined,
  };
}

class ExpressionLimit extends Error {
  readonly code = 'U1001';
}

async function formatTime(
  ms: number,
  picture: string | undefined,
  zone: string | undefined,
): Promise<unknown> {
  const formatter = await compiled('$fromMillis($ms, $picture, $zone)');
  return formatter.evaluate(undefined, { ms, picture, zone });
}

/** A JSONata sequence: one item stands for itself, none for nothing. */
function sequence(items: readonly Json[]): Json {
  return Object.defineProperty([...items], 'sequence', { value: true, enumerable: false });
}

/** Undefined where there is a function or something else that JSON has no word for. */
function plainJson(value: unknown): Json | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'object') return undefined;
  if ('_jsonata_lambda' in value || '_jsonata_function' in value) return undefined;
  if (Array.isArray(value)) return plainItems(value);
  const entries: [string, Json][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    const plain = plainJson(item);
    if (plain === undefined) return undefined;
    entries.push([key, plain]);
  }
  return Object.fromEntries(entries);
}

function plainItems(items: readonly unknown[]): Json | undefined {
  const plain = items.map((item) => plainJson(item));
  return plain.every((item) => item !== undefined) ? plain : undefined;
}

function messageOf(error: unknown): string {
  if (error instanceof IntrinsicRefusal) return error.message;
  if (typeof error !== 'object' || error === null) return String(error);
  const code = 'code' in error ? `${String(error.code)}: ` : '';
  return 'message' in error ? `${code}${String(error.message)}` : `${code}no message`;
}
