/** Choice rules of JSONPath states: a comparison, or comparisons joined by And, Or and Not. */
import { runtimeFailure } from './failure.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { evaluatePath, PathNotFound, type PathScope } from './jsonpath.ts';
import { compareInstants, parseTimestamp } from './timestamp.ts';

type Compare = (value: Json, expected: Json) => boolean;

/** Kinds of values that can be compared, and how one stands to another (undefined: not of this kind). */
const ORDERS: Readonly<Record<string, (left: Json, right: Json) => number | undefined>> = {
  String: (left, right) =>
    typeof left === 'string' && typeof right === 'string'
      ? left < right
        ? -1
        : left > right
          ? 1
          : 0
      : undefined,
  Numeric: (left, right) =>
    typeof left === 'number' && typeof right === 'number' ? left - right : undefined,
  Timestamp: timestampOrder,
};
const RELATIONS: Readonly<Record<string, (order: number) => boolean>> = {
  Equals: (order) => order === 0,
  LessThan: (order) => order < 0,
  LessThanEquals: (order) => order <= 0,
  GreaterThan: (order) => order > 0,
  GreaterThanEquals: (order) => order >= 0,
};

const COMPARISONS: ReadonlyMap<string, Compare> = new Map(comparisons());

function* comparisons(): Generator<[string, Compare]> {
  for (const [kind, orderOf] of Object.entries(ORDERS)) {
    for (const [relation, holds] of Object.entries(RELATIONS)) {
      yield [
        `${kind}${relation}`,
        (value, expected) => {
          const order = orderOf(value, expected);
          return order !== undefined && holds(order);
        },
      ];
    }
  }
  yield ['BooleanEquals', (value, expected) => typeof value === 'boolean' && value === expected];
  yield ['StringMatches', (value, pattern) => typeof value === 'string' && matches(value, pattern)];
}

const TYPE_TESTS: ReadonlyMap<string, (value: Json) => boolean> = new Map<string, (value: Json) => boolean>([
  ['IsNull', (value) => value === null],
  ['IsNumeric', (value) => typeof value === 'number'],
  ['IsString', (value) => typeof value === 'string'],
  ['IsBoolean', (value) => typeof value === 'boolean'],
  ['IsTimestamp', (value) => typeof value === 'string' && parseTimestamp(value) !== undefined],
]);

/** Every field that a rule may compare with; a `Path` variant takes the other side from the input. */
export const OPERATORS: ReadonlySet<string> = new Set([
  ...COMPARISONS.keys(),
  ...[...COMPARISONS.keys()].filter((name) => name !== 'StringMatches').map((name) => `${name}Path`),
  ...TYPE_TESTS.keys(),
  'IsPresent',
]);

/** Throws StateFailure where the variable is not there. */
export function ruleHolds(rule: JsonObject, scope: PathScope): boolean {
  if (isArray(rule.And)) return rule.And.every((inner) => isObject(inner) && ruleHolds(inner, scope));
  if (isArray(rule.Or)) return rule.Or.some((inner) => isObject(inner) && ruleHolds(inner, scope));
  if (isObject(rule.Not)) return !ruleHolds(rule.Not, scope);
  const operator = Object.keys(rule).find((key) => OPERATORS.has(key)) ?? '';
  const variable = String(rule.Variable);
  const expected = rule[operator] ?? null;
  if (operator === 'IsPresent') return isPresent(variable, scope) === expected;
  const value = valueAt(variable, scope);
  const test = TYPE_TESTS.get(operator);
  if (test !== undefined) return test(value) === expected;
  const direct = COMPARISONS.get(operator);
  if (direct !== undefined) return direct(value, expected);
  const byPath = COMPARISONS.get(operator.slice(0, -'Path'.length));
  return byPath?.(value, valueAt(String(expected), scope)) ?? false;
}

function isPresent(path: string, scope: PathScope): boolean {
  try {
    evaluatePath(path, scope);
    return true;
  } catch (error) {
    if (error instanceof PathNotFound) return false;
    throw error;
  }
}

function valueAt(path: string, scope: PathScope): Json {
  try {
    return evaluatePath(path, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(
      `Invalid path '${path}': The choice state's condition path references an invalid value.`,
    );
  }
}

function timestampOrder(left: Json, right: Json): number | undefined {
  if (typeof left !== 'string' || typeof right !== 'string') return undefined;
  const first = parseTimestamp(left);
  const second = parseTimestamp(right);
  return first === undefined || second === undefined ? undefined : compareInstants(first, second);
}

/** `*` stands for any text; `\*` for a star. Compared piece by piece, so no pattern can take long. */
function matches(value: string, pattern: Json): boolean {
  if (typeof pattern !== 'string') return false;
  const pieces = piecesOf(pattern);
  const [first = '', ...others] = pieces;
  if (others.length === 0) return value === first;
  const last = others.pop() ?? '';
  if (!value.startsWith(first) || value.length < first.length + last.length || !value.endsWith(last))
    return false;
  const end = value.length - last.length;
  let at = first.length;
  for (const piece of others) {
    const found = value.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

function piecesOf(pattern: string): string[] {
  const pieces = [''];
  for (const [token] of pattern.matchAll(/\\[*\\]|./gsu)) {
    if (token === '*') pieces.push('');
    else pieces[pieces.length - 1] += token.length > 1 && token.startsWith('\\') ? token.slice(1) : token;
  }
  return pieces;
}
