/** Names every Task, reader and writer whose resource is unknown, or cannot be used yet, and what a Task's would refuse. */
import { suggest } from '../../component/suggest.ts';
import type { Level, QueryLanguage } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import { isArray, isObject, type Json, type JsonObject } from '../asl/json.ts';
import type { State } from '../asl/schema.ts';
import { argumentFaults } from './argument-faults.ts';
import { resourceName, type TaskResource } from './resources.ts';
import { LISTINGS, type TransferField, transferResource, transferResources } from './transfer-resources.ts';

/** Of what may be at fault in other ways too: what is no state, or has no resource, is for others to tell. */
export function resourceFaults(
  machine: Json | undefined,
  resources: readonly TaskResource[],
): readonly DefinitionFault[] {
  const isJsonata = isObject(machine) && machine.QueryLanguage === 'JSONata';
  return levelFaults(machine, { resources, language: isJsonata ? 'JSONata' : 'JSONPath' }, []);
}

interface Around {
  readonly resources: readonly TaskResource[];
  /** Of the machine: a state may have another one. */
  readonly language: QueryLanguage;
}

function levelFaults(
  level: Json | undefined,
  around: Around,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const states = isObject(level) && isObject(level.States) ? level.States : {};
  return Object.entries(states).flatMap(([name, state]) => {
    if (!isObject(state)) return [];
    const statePath = [...path, 'States', name];
    if (state.Type === 'Task') return taskFaults(state, around, statePath);
    const inside = writtenLevels(state, statePath).flatMap((inner) =>
      levelFaults(inner.level, around, inner.path),
    );
    return [...transferFaults(state, statePath), ...inside];
  });
}

function writtenLevels(
  state: JsonObject,
  path: DefinitionPath,
): readonly { readonly level: Json | undefined; readonly path: DefinitionPath }[] {
  const { Type, Branches } = state;
  if (Type === 'Parallel' && isArray(Branches))
    return Branches.map((level, at) => ({ level, path: [...path, 'Branches', at] }));
  if (Type !== 'Map') return [];
  return ['ItemProcessor', 'Iterator'].map((key) => ({ level: state[key], path: [...path, key] }));
}

/** Readers and writers that there are not, and a reader that has no files to load. */
function transferFaults(state: JsonObject, path: DefinitionPath): readonly DefinitionFault[] {
  if (state.Type !== 'Map') return [];
  const [reader, writer] = [objectOf(state.ItemReader), objectOf(state.ResultWriter)];
  return [
    ...unknownTransfer('ItemReader', reader.Resource, path),
    ...unloadable(reader, path),
    ...unknownTransfer('ResultWriter', writer.Resource, path),
  ];
}

function unloadable(reader: JsonObject, path: DefinitionPath): readonly DefinitionFault[] {
  const { Transformation: transformation } = objectOf(reader.ReaderConfig);
  if (transformation !== 'LOAD_AND_FLATTEN' || typeof reader.Resource !== 'string') return [];
  const resource = transferResource('ItemReader', reader.Resource);
  if (resource === undefined || LISTINGS.has(resource)) return [];
  return [
    {
      path: [...path, 'ItemReader', 'ReaderConfig', 'Transformation'],
      at: 'value',
      message: 'only files that are listed are loaded',
      found: transformation,
      expected: 'NONE, or a Resource that lists files',
    },
  ];
}

function unknownTransfer(
  field: TransferField,
  found: Json | undefined,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  if (typeof found !== 'string' || transferResource(field, found) !== undefined) return [];
  const known = transferResources(field);
  const didYouMean = suggest(found, known);
  return [
    {
      path: [...path, field, 'Resource'],
      at: 'value',
      message: field === 'ItemReader' ? 'nothing reads items from this' : 'nothing writes results to this',
      found,
      expected: `one of ${known.join(', ')}`,
      ...(didYouMean !== undefined && { didYouMean }),
    },
  ];
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function taskFaults(state: JsonObject, around: Around, path: DefinitionPath): readonly DefinitionFault[] {
  const { Resource: written, QueryLanguage: own } = state;
  if (typeof written !== 'string') return [];
  const name = resourceName(written);
  const known = around.resources.find((resource) => resource.name === name);
  const unusable = unusableResource(written, known, around.resources, [...path, 'Resource']);
  if (unusable !== undefined) return [unusable];
  const language = own === 'JSONata' || own === 'JSONPath' ? own : around.language;
  return known?.takes === undefined
    ? []
    : argumentFaults(state, { task: name, takes: known.takes }, path, language);
}

function unusableResource(
  written: string,
  known: TaskResource | undefined,
  resources: readonly TaskResource[],
  path: DefinitionPath,
): DefinitionFault | undefined {
  const name = resourceName(written);
  if (known?.notYet !== undefined) {
    const message = `the task "${name}" is not there yet: ${known.notYet}`;
    return { path, at: 'value', message, found: written };
  }
  if (known !== undefined) return undefined;
  const names = resources.filter(({ notYet }) => notYet === undefined).map((resource) => resource.name);
  const didYouMean = suggest(name, names);
  return {
    path,
    at: 'value',
    message: 'there is no such task',
    found: written,
    expected: `one of ${names.join(', ')}`,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

/** Levels inside a state, with their places. */
export function innerLevels(
  state: State,
  path: DefinitionPath,
): readonly { readonly level: Level; readonly path: DefinitionPath }[] {
  if (state.Type === 'Parallel') {
    return state.Branches.map((level, at) => ({ level, path: [...path, 'Branches', at] }));
  }
  if (state.Type !== 'Map') return [];
  const key = state.ItemProcessor === undefined ? 'Iterator' : 'ItemProcessor';
  const level = state.ItemProcessor ?? state.Iterator;
  return level === undefined ? [] : [{ level, path: [...path, key] }];
}
