/**
 * What can still be read of a definition whose shape is wrong, so that the rules find their faults too and an
 * author sees all at once: what the schema refused is left out, what is missing is stood in for.
 */
import { prune } from '../../component/prune.ts';
import type { StateMachine } from './definition.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';
import { stateMachine } from './schema.ts';
import { schemaFaults } from './schema-faults.ts';

export interface ReadablePart {
  readonly machine: StateMachine;
  /** A path in the part as it is in the whole. */
  restore(path: DefinitionPath): DefinitionPath;
  /** A state's type is a guess, so its transitions are not all known. */
  readonly isGuess: boolean;
}

/** Each round takes out what the last one refused; the deepest definition needs a few. */
const MOST_ROUNDS = 20;
const STAND_INS: Readonly<Record<string, unknown>> = {
  Type: 'Pass',
  Resource: 'unknown',
  ErrorEquals: ['unknown'],
};

export function readablePart(whole: unknown): ReadablePart | undefined {
  let value = whole;
  let restore = (path: DefinitionPath): DefinitionPath => path;
  let isGuess = false;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const read = stateMachine.safeParse(value);
    if (read.success) return { machine: read.data, restore, isGuess };
    const faults = schemaFaults(read.error.issues, value);
    if (faults.some(({ path }) => path.length === 0 || path.at(-1) === 'States')) return undefined;
    isGuess ||= faults.some(({ path }) => path.at(-1) === 'Type');
    const pruned = prune(
      value,
      faults.map(({ path }) => path),
    );
    const outer = restore;
    restore = (path) => outer(pruned.restore(path));
    value = faults.filter(isMissing).reduce(standIn, pruned.value);
  }
  return undefined;
}

function isMissing({ path, message }: DefinitionFault): boolean {
  return message.endsWith('is missing') || path.at(-1) === 'Type';
}

function standIn(root: unknown, { path }: DefinitionFault): unknown {
  const copy: unknown = structuredClone(root);
  const parent = path.slice(0, -1).reduce<unknown>((value, step) => innerOf(value, step), copy);
  const key = path.at(-1) ?? '';
  if (typeof parent !== 'object' || parent === null) return copy;
  const value = key === 'StartAt' ? Object.keys(Object(innerOf(parent, 'States')))[0] : STAND_INS[key];
  if (value !== undefined) Reflect.set(parent, key, value);
  return copy;
}

function innerOf(value: unknown, step: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, step)
    ? Reflect.get(value, step)
    : undefined;
}
