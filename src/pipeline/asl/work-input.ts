/** What a state works on: its input as InputPath, Parameters and Arguments make it. */
import type { Thread } from './execution.ts';
import type { Json } from './json.ts';
import { fillQuery } from './jsonata-expression.ts';
import type { State } from './schema.ts';
import { type ContextExtras, pathScope, queryScope } from './scopes.ts';
import { evaluateStatePath, fillTemplate } from './template.ts';
import { isJsonata, type Turn } from './turn.ts';

export function effectiveInput(turn: Turn, thread: Thread, state: State): Json {
  const path = 'InputPath' in state ? state.InputPath : undefined;
  if (path === null) return {};
  return path === undefined ? thread.input : evaluateStatePath(path, pathScope(turn, thread, thread.input));
}

/** Arguments of a Task, or the input of the branches of a Parallel. */
export async function workInput(
  turn: Turn,
  thread: Thread,
  state: State & { readonly Parameters?: Json | undefined; readonly Arguments?: Json | undefined },
  extras: ContextExtras = {},
): Promise<Json> {
  if (isJsonata(turn, state)) {
    if (state.Arguments === undefined) return thread.input;
    return fillQuery('Arguments', state.Arguments, queryScope(turn, thread, {}, extras));
  }
  const input = effectiveInput(turn, thread, state);
  if (state.Parameters === undefined) return input;
  return fillTemplate(state.Parameters, pathScope(turn, thread, input, extras), turn.entropy);
}
