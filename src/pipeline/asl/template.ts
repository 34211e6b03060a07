/** Payload templates of JSONPath states: keys that end in `.$` are evaluated, all else stays as it is. */
import { runtimeFailure } from './failure.ts';
import { evaluateIntrinsic } from './intrinsics.ts';
import { isArray, isObject, type Json } from './json.ts';
import { evaluatePath, PathNotFound, type PathScope } from './jsonpath.ts';
import type { Entropy } from './random.ts';

export function fillTemplate(template: Json, scope: PathScope, entropy: Entropy): Json {
  if (isArray(template)) return template.map((item) => fillTemplate(item, scope, entropy));
  if (!isObject(template)) return template;
  return Object.fromEntries(
    Object.entries(template).map(([key, value]) =>
      key.endsWith('.$') && typeof value === 'string'
        ? [key.slice(0, -2), evaluateField(key, value, scope, entropy)]
        : [key, fillTemplate(value, scope, entropy)],
    ),
  );
}

/** A path or an intrinsic call. `field` is what AWS calls it in the cause when the path finds nothing. */
export function evaluateField(field: string, text: string, scope: PathScope, entropy: Entropy): Json {
  if (!text.startsWith('$')) return evaluateIntrinsic(text, scope, entropy);
  try {
    return evaluatePath(text, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(
      `The JSONPath '${text}' specified for the field '${field}' could not be found in the input ` +
        `'${JSON.stringify(text.startsWith('$$') ? scope.context : scope.input)}'`,
    );
  }
}

/** A path where a field of the state itself holds one (InputPath, OutputPath, TimeoutSecondsPath…). */
export function evaluateStatePath(text: string, scope: PathScope): Json {
  try {
    return evaluatePath(text, scope);
  } catch (error) {
    if (!(error instanceof PathNotFound)) throw error;
    throw runtimeFailure(`Invalid path '${text}' : ${error.message}`);
  }
}
