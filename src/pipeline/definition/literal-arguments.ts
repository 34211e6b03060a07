/** What of a task's arguments is written in the file; the rest is filled in when the task is asked for. */
import type { QueryLanguage } from '../asl/definition.ts';
import type { DefinitionPath } from '../asl/faults.ts';
import { isArray, isObject, type Json } from '../asl/json.ts';
import { isExpression } from '../asl/jsonata-expression.ts';

/** Stands for what is filled in: it may become anything. */
export const FILLED_IN = Symbol('filled in');

/** JSON, with `FILLED_IN` wherever a path, an intrinsic call or an expression stands; keys have lost their `.$`. */
export function literalArguments(written: Json, language: QueryLanguage): unknown {
  if (isArray(written)) return written.map((item) => literalArguments(item, language));
  if (!isObject(written)) return language === 'JSONata' && isExpression(written) ? FILLED_IN : written;
  return Object.fromEntries(
    Object.entries(written).map(([key, value]): [string, unknown] =>
      isPathKey(key, value, language)
        ? [key.slice(0, -2), FILLED_IN]
        : [key, literalArguments(value, language)],
    ),
  );
}

function isPathKey(key: string, value: Json, language: QueryLanguage): boolean {
  return language === 'JSONPath' && key.endsWith('.$') && typeof value === 'string';
}

/** The path of a value as its keys are written. */
export function writtenPath(written: Json, path: DefinitionPath): DefinitionPath {
  let here: Json | undefined = written;
  return path.map((step) => {
    const around: Json | undefined = here;
    if (isArray(around)) here = typeof step === 'number' ? around[step] : undefined;
    if (!isObject(around)) return step;
    const key = Object.hasOwn(around, step) ? String(step) : `${step}.$`;
    here = Object.hasOwn(around, key) ? around[key] : undefined;
    return here === undefined ? step : key;
  });
}
