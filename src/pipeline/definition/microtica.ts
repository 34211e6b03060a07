/**
 * Files of Microtica, which have the state machine under `Pipeline:`. Their parameters name a place in the input
 * without the `.$` that Amazon States Language wants at the key, so it is put there.
 */
import { isArray, isObject, type Json } from '../asl/json.ts';

const RESOURCES = 'microtica.actions.';

export function withPathKeys(machine: Json): Json {
  if (isArray(machine)) return machine.map(withPathKeys);
  if (!isObject(machine)) return machine;
  const isTask = typeof machine.Resource === 'string' && machine.Resource.startsWith(RESOURCES);
  return Object.fromEntries(
    Object.entries(machine).map(([key, value]) => [
      key,
      isTask && key === 'Parameters' ? pathKeys(value) : withPathKeys(value),
    ]),
  );
}

function pathKeys(value: Json): Json {
  if (isArray(value)) return value.map(pathKeys);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      typeof item === 'string' && /^\$\$?\./.test(item) && !key.endsWith('.$')
        ? [`${key}.$`, item]
        : [key, pathKeys(item)],
    ),
  );
}
