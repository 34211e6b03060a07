/** Fields that come as a value, as a `{% … %}` expression, or by a path in the field of the same name plus `Path`. */
import type { Thread } from './execution.ts';
import { queryFailure, runtimeFailure } from './failure.ts';
import type { Json } from './json.ts';
import { expressionText, fillQuery, isExpression } from './jsonata-expression.ts';
import type { PathScope } from './jsonpath.ts';
import { queryScope } from './scopes.ts';
import { evaluateStatePath } from './template.ts';
import type { Turn } from './turn.ts';

/** A number of a state: undefined where the state says none. Throws StateFailure where what it says is no number. */
export async function numberField(
  turn: Turn,
  thread: Thread,
  field: string,
  given: { readonly value: Json | undefined; readonly path: string | undefined; readonly scope: PathScope },
): Promise<number | undefined> {
  if (given.path !== undefined) {
    const found = evaluateStatePath(given.path, given.scope);
    const number = asNumber(found);
    if (number !== undefined) return number;
    throw runtimeFailure(
      `The ${field}Path field refers to value "${shown(found)}" which is not a valid ${kindOf(field)}: ${given.path}`,
    );
  }
  if (given.value === undefined || !isExpression(given.value)) return asNumber(given.value);
  const found = await fillQuery(field, given.value, queryScope(turn, thread));
  if (typeof found === 'number') return found;
  throw queryFailure(
    `The JSONata expression '${expressionText(given.value)}' specified for the field '${field}' returned an ` +
      `unexpected result type. Expected 'number', but was '${typeof found}' for value: ${JSON.stringify(found)}`,
  );
}

/** AWS takes numbers that are written as texts where a path leads to one. */
function asNumber(value: Json | undefined): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || !/^\s*-?\d+(\.\d+)?\s*$/.test(value)) return undefined;
  return Number(value);
}

function kindOf(field: string): string {
  return field === 'ToleratedFailurePercentage' ? 'float' : 'integer';
}

function shown(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
