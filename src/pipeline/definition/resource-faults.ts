/** Names every Task whose resource is unknown, or cannot be used yet. */
import { suggest } from '../../component/suggest.ts';
import type { Level } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import type { State } from '../asl/schema.ts';
import { resourceName, type TaskResource } from './resources.ts';

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

/** The interpreter knows them; what reads and writes files and buckets for it is not there yet. */
function transferFaults(state: State, path: DefinitionPath): readonly DefinitionFault[] {
  if (state.Type !== 'Map') return [];
  return (['ItemReader', 'ResultWriter'] as const)
    .filter((field) => state[field] !== undefined)
    .map((field) => ({
      path: [...path, field],
      at: 'key',
      message:
        'is not there yet: files and buckets are neither read nor written; give the items in the input',
    }));
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
