/** From whatever was read to a state machine that may be run; every fault at once. */
import { KilnError } from '../../domain/errors.ts';
import type { StateMachine } from './definition.ts';
import { type DefinitionFault, pathText } from './faults.ts';
import { levelFaults } from './rules.ts';
import { stateMachine } from './schema.ts';
import { schemaFaults } from './schema-faults.ts';

export type Checked =
  | { readonly machine: StateMachine; readonly faults: readonly [] }
  | { readonly machine?: undefined; readonly faults: readonly DefinitionFault[] };

export async function checkStateMachine(definition: unknown): Promise<Checked> {
  const read = stateMachine.safeParse(definition);
  if (!read.success) return { faults: schemaFaults(read.error.issues, definition) };
  const faults = await levelFaults(read.data, [], read.data.QueryLanguage ?? 'JSONPath');
  return faults.length > 0 ? { faults } : { machine: read.data, faults: [] };
}

/** Throws KilnError (`pipeline.invalid`) with every fault. */
export async function loadStateMachine(definition: unknown): Promise<StateMachine> {
  const { machine, faults } = await checkStateMachine(definition);
  if (machine !== undefined) return machine;
  throw new KilnError('pipeline.invalid', `The definition has ${counted(faults.length)}.`, {
    next: 'Correct what is listed and try again.',
    faults: faults.map(({ at: _, path, ...said }) => ({ path: pathText(path), ...said })),
  });
}

export function counted(faults: number): string {
  return faults === 1 ? '1 fault' : `${faults} faults`;
}
