/** Fields that say the same in two ways: only one of them may stand. */
import type { DefinitionFault, DefinitionPath } from './faults.ts';

export function bothFaults(
  holder: object,
  path: DefinitionPath,
  first: string,
  second: string,
): readonly DefinitionFault[] {
  if (Reflect.get(holder, first) === undefined || Reflect.get(holder, second) === undefined) return [];
  return [
    { path: [...path, second], at: 'key', message: `"${first}" stands here too`, expected: 'one of the two' },
  ];
}

/** `TimeoutSeconds` and `TimeoutSecondsPath`, and all their kind. */
export function twinFaults(holder: object, path: DefinitionPath): readonly DefinitionFault[] {
  return Object.keys(holder)
    .filter((field) => field.endsWith('Path'))
    .flatMap((field) => bothFaults(holder, path, field.slice(0, -'Path'.length), field));
}
