/**
 * JSONPath as AWS evaluates it (Jayway): a path of single steps is *definite* and gives its value or fails; any
 * other path gives a list, which may be empty. Words of failures are Jayway's, as AWS shows them.
 */
import { isArray, isObject, type Json, type JsonObject, ownValue, sameJson } from './json.ts';
import {
  type Filter,
  type JsonPath,
  type Operand,
  type PathFunction,
  parsePath,
  type Step,
} from './jsonpath-parse.ts';

/** What paths may speak of. */
export interface PathScope {
  readonly input: Json;
  readonly context: Json;
  readonly variables: JsonObject;
}

export class PathNotFound extends Error {
  override readonly name = 'PathNotFound';
}

const PARSED_LIMIT = 2_000;
const parsed = new Map<string, JsonPath>();

/** Parsing is pure, so what was parsed once is kept. */
export function pathOf(text: string): JsonPath {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const path = parsePath(text);
  if (parsed.size >= PARSED_LIMIT) parsed.clear();
  parsed.set(text, path);
  return path;
}

/** Throws PathNotFound where a definite path finds nothing, PathSyntaxError where the text is no path. */
export function evaluatePath(text: string, scope: PathScope): Json {
  const path = pathOf(text);
  return follow(path.steps, rootOf(path, scope));
}

function rootOf(path: JsonPath, scope: PathScope): Json {
  const { root } = path;
  if (root.kind === 'input') return scope.input;
  if (root.kind === 'context') return scope.context;
  const { name } = root;
  const value = ownValue(scope.variables, name);
  if (value === undefined) throw new PathNotFound(`No results for path: $['${name}']`);
  return value;
}

function follow(steps: readonly Step[], root: Json): Json {
  const last = steps.at(-1);
  if (last?.kind === 'function') return applied(last.name, follow(steps.slice(0, -1), root));
  if (isDefinite(steps)) return definite(steps, root);
  let values: readonly Json[] = [root];
  for (const step of steps) values = values.flatMap((value) => children(step, value, root));
  return values;
}

function applied(name: PathFunction, value: Json): Json {
  if (name === 'keys' && isObject(value)) return Object.keys(value);
  if (name === 'length' && (isArray(value) || typeof value === 'string')) return value.length;
  if (name === 'length' && isObject(value)) return Object.keys(value).length;
  const numbers = isArray(value) ? value.filter((item) => typeof item === 'number') : [];
  if (numbers.length === 0 || name === 'keys' || name === 'length') {
    throw new PathNotFound(`Function ${name} cannot be applied to ${JSON.stringify(value)}`);
  }
  if (name === 'min') return Math.min(...numbers);
  if (name === 'max') return Math.max(...numbers);
  const sum = numbers.reduce((total, number) => total + number, 0);
  return name === 'sum' ? sum : sum / numbers.length;
}

export function isDefinite(steps: readonly Step[]): boolean {
  return steps.every(
    (step, at) =>
      step.kind === 'name' || step.kind === 'index' || (step.kind === 'names' && at === steps.length - 1),
  );
}

function definite(steps: readonly Step[], root: Json): Json {
  let value = root;
  let trail = '$';
  for (const [at, step] of steps.entries()) {
    trail += stepText(step);
    value = definiteStep(step, value, trail, at === steps.length - 1);
  }
  return value;
}

function definiteStep(step: Step, value: Json, trail: string, last: boolean): Json {
  if (step.kind === 'names') return picked(step.names, value, trail);
  if (step.kind === 'name') {
    if (!isObject(value)) throw new PathNotFound(`Expected to find an object with property ${trail}`);
    const found = ownValue(value, step.name);
    if (found !== undefined) return found;
    throw new PathNotFound(last ? `No results for path: ${trail}` : `Missing property in path ${trail}`);
  }
  if (step.kind === 'index' && isArray(value)) {
    const found = value[step.index < 0 ? value.length + step.index : step.index];
    if (found !== undefined) return found;
    throw new PathNotFound(`Index out of bounds when evaluating path ${trail}`);
  }
  throw new PathNotFound(
    `Filter: ${stepText(step)} can only be applied to arrays. Current context is: ${trail}`,
  );
}

function picked(names: readonly string[], value: Json, trail: string): Json {
  if (!isObject(value)) throw new PathNotFound(`Expected to find an object with properties ${trail}`);
  return Object.fromEntries(
    names.flatMap((name) => (Object.hasOwn(value, name) ? [[name, value[name] ?? null]] : [])),
  );
}

function stepText(step: Step): string {
  if (step.kind === 'name') return `['${step.name}']`;
  if (step.kind === 'index') return `[${step.index}]`;
  if (step.kind === 'names') return `[${step.names.map((name) => `'${name}'`).join(',')}]`;
  return '[]';
}

function children(step: Step, value: Json, root: Json): readonly Json[] {
  switch (step.kind) {
    case 'descend':
      return [value, ...containers(value)];
    case 'any':
      return members(value);
    case 'name':
      return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name] ?? null] : [];
    case 'names':
      return isObject(value) ? [picked(step.names, value, '$')] : [];
    case 'index':
      return isArray(value) ? value.slice(step.index).slice(0, 1) : [];
    case 'indices':
      return isArray(value) ? step.indices.flatMap((index) => value.slice(index).slice(0, 1)) : [];
    case 'slice':
      return isArray(value)
        ? value.slice(step.from ?? 0, step.to ?? value.length).filter((_, at) => at % step.by === 0)
        : [];
    case 'function':
      return [];
    case 'filter':
      return candidates(value).filter((item) => holds(step.filter, item, root));
  }
}

function members(value: Json): readonly Json[] {
  if (isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

/** A filter looks at the items of an array, or at an object itself. */
function candidates(value: Json): readonly Json[] {
  if (isArray(value)) return value;
  return isObject(value) ? [value] : [];
}

function containers(value: Json): readonly Json[] {
  return members(value).flatMap((member) =>
    typeof member === 'object' && member !== null ? [member, ...containers(member)] : [],
  );
}

function holds(filter: Filter, item: Json, root: Json): boolean {
  switch (filter.kind) {
    case 'all':
      return filter.of.every((inner) => holds(inner, item, root));
    case 'any':
      return filter.of.some((inner) => holds(inner, item, root));
    case 'not':
      return !holds(filter.of, item, root);
    case 'exists':
      return operandValue(filter.path, item, root) !== undefined;
    case 'compare':
      return compares(
        filter.operator,
        operandValue(filter.left, item, root),
        operandValue(filter.right, item, root),
      );
  }
}

function operandValue(operand: Operand, item: Json, root: Json): Json | undefined {
  if (operand.kind === 'value') return operand.value;
  try {
    return follow(operand.steps, operand.from === '@' ? item : root);
  } catch (error) {
    if (error instanceof PathNotFound) return undefined;
    throw error;
  }
}

function compares(operator: string, left: Json | undefined, right: Json | undefined): boolean {
  if (left === undefined || right === undefined) return operator === '!=' && left !== right;
  if (operator === '==') return sameJson(left, right);
  if (operator === '!=') return !sameJson(left, right);
  const ordered =
    (typeof left === 'number' && typeof right === 'number') ||
    (typeof left === 'string' && typeof right === 'string');
  if (!ordered) return false;
  if (operator === '<') return left < right;
  if (operator === '<=') return left <= right;
  if (operator === '>') return left > right;
  return operator === '>=' && left >= right;
}
