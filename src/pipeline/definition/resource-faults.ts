/** Names every Task, reader and writer whose resource is unknown, or cannot be used yet. */
import { suggest } from '../../component/suggest.ts';
import type { Level } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import type { State } from '../asl/schema.ts';
import { resourceName, type TaskResource } from './resources.ts';
import { type TransferField, transferResource, transferResources } from './transfer-resources.ts';

export function resourceFaults(
  level: Level,
  resources: readonly TaskResource[],
  path: DefinitionPath = [],
): readonly DefinitionFault[] {
  return Object.entries(level.States).flatMap(([name, state]) => {
    const statePath = [...path, 'States', name];
    if (state.Type === 'Task') return taskFaults(state.Resource, resources, [...statePath, 'Resource']);
    const inside = innerLevels(state, statePath).flatMap((inner) =>
      resourceFaults(inner.level, resources, inner.path),
    );
    return [...transferFaults(state, statePath), ...inside];
  });
}

/** Readers and writers that there are not, and formats that nobody here reads. */
function transferFaults(state: State, path: DefinitionPath): readonly DefinitionFault[] {
  if (state.Type !== 'Map') return [];
  const reader = state.ItemReader;
  const { InputType: format, Transformation: transformation } = reader?.ReaderConfig ?? {};
  const unread = (field: string, found: string): DefinitionFault => ({
    path: [...path, 'ItemReader', 'ReaderConfig', field],
    at: 'value',
    message: `${found} is not there yet`,
    found,
    expected: field === 'InputType' ? 'CSV, JSON or JSONL' : 'NONE',
  });
  return [
    ...unknownTransfer('ItemReader', reader?.Resource, path),
    ...(format === 'MANIFEST' || format === 'PARQUET' ? [unread('InputType', format)] : []),
    ...(transformation !== undefined && transformation !== 'NONE'
      ? [unread('Transformation', transformation)]
      : []),
    ...unknownTransfer('ResultWriter', state.ResultWriter?.Resource, path),
  ];
}

function unknownTransfer(
  field: TransferField,
  found: string | undefined,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  if (found === undefined || transferResource(field, found) !== undefined) return [];
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

function taskFaults(
  written: string,
  resources: readonly TaskResource[],
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const name = resourceName(written);
  const known = resources.find((resource) => resource.name === name);
  if (known?.notYet !== undefined) {
    return [
      { path, at: 'value', message: `the task "${name}" is not there yet: ${known.notYet}`, found: written },
    ];
  }
  if (known !== undefined) return [];
  const names = resources.filter(({ notYet }) => notYet === undefined).map((resource) => resource.name);
  const didYouMean = suggest(name, names);
  return [
    {
      path,
      at: 'value',
      message: 'there is no such task',
      found: written,
      expected: `one of ${names.join(', ')}`,
      ...(didYouMean !== undefined && { didYouMean }),
    },
  ];
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
