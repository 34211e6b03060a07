/** ResultPath: puts a value into the input at a reference path, making the objects on the way. */
import { StateFailure } from './failure.ts';
import { isArray, isObject, type Json, withKey } from './json.ts';
import { pathOf } from './jsonpath.ts';
import type { Step } from './jsonpath-parse.ts';

/** Throws `States.ResultPathMatchFailure` where the way leads through something that is no object. */
export function putAt(path: string, input: Json, value: Json): Json {
  return put(pathOf(path).steps, input, value, () => mismatch(path, input));
}

function put(steps: readonly Step[], target: Json, value: Json, fail: () => StateFailure): Json {
  const [step, ...rest] = steps;
  if (step === undefined) return value;
  if (step.kind === 'name') {
    if (!isObject(target)) throw fail();
    const inner = Object.hasOwn(target, step.name) ? (target[step.name] ?? null) : {};
    return withKey(target, step.name, put(rest, inner, value, fail));
  }
  if (step.kind !== 'index' || !isArray(target) || step.index >= target.length) throw fail();
  return target.with(step.index, put(rest, target[step.index] ?? null, value, fail));
}

function mismatch(path: string, input: Json): StateFailure {
  return new StateFailure({
    error: 'States.ResultPathMatchFailure',
    cause: `Unable to apply ReferencePath ${path} to input ${JSON.stringify(input)}`,
  });
}
