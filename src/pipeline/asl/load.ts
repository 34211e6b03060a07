/** From whatever was read to a state machine that may be run; every fault at once. */
import { KilnError } from '../../domain/errors.ts';
import type { StateMachine } from './definition.ts';
import { type DefinitionFault, pathText } from './faults.ts';
import { readablePart } from './readable-part.ts';
import { levelFaults } from './rules.ts';
import { stateMachine } from './schema.ts';
import { schemaFaults } from './schema-faults.ts';

export type Checked =
  | { readonly machine: StateMachine; readonly faults: readonly [] }
  | { readonly machine?: undefined; readonly faults: readonly DefinitionFault[] };

export async function checkStateMachine(definition: unknown): Promise<Checked> {
  const read = stateMachine.safeParse(definition);
  if (!read.success)
    return { faults: await allFaults(definition, schemaFaults(read.error.issues, definition)) };
  const faults = await levelFaults(read.data, [], read.data.QueryLanguage ?? 'JSONPath');
  return faults.length > 0 ? { faults } : { machine: read.data, faults: [] };
}

/** Those of the shape, and those that the rules find in what can be read nevertheless. */
async function allFaults(
  definition: unknown,
  ofShape: readonly DefinitionFault[],
): Promise<readonly DefinitionFault[]> {
  const part = readablePart(definition);
  if (part === undefined) return ofShape;
  const { machine, restore, isGuess } = part;
  const refused = ofShape.map(({ path }) => pathText(path));
  const found = await levelFaults(machine, [], machine.QueryLanguage ?? 'JSONPath');
  const further = found
    .map((fault) => ({ ...fault, path: restore(fault.path) }))
    .filter(({ path }) => !refused.some((other) => pathText(path).startsWith(other)))
    .filter(({ message }) => !(isGuess && message.startsWith('nothing leads')));
  return [...ofShape, ...further];
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
