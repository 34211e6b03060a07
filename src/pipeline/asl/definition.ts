/** A checked definition, with the names of the Amazon States Language. */
import type { z } from 'zod';
import type { State, stateMachine } from './schema.ts';
import type { TaskLimits } from './task-limit.ts';

export type StateMachine = z.infer<typeof stateMachine> & {
  /** Not of the language: an executor's, for Tasks and transfers that name none. */
  readonly limits?: TaskLimits | undefined;
};
export type StateType = State['Type'];
export type StateOf<Type extends StateType> = Extract<State, { readonly Type: Type }>;
export type PassState = StateOf<'Pass'>;
export type TaskState = StateOf<'Task'>;
export type ChoiceState = StateOf<'Choice'>;
export type WaitState = StateOf<'Wait'>;
export type FailState = StateOf<'Fail'>;
export type ParallelState = StateOf<'Parallel'>;
export type MapState = StateOf<'Map'>;

/** States that do work which may fail, be retried and be caught. */
export type WorkState = TaskState | ParallelState | MapState;
export type Retrier = NonNullable<WorkState['Retry']>[number];

/** A machine, a branch or an item processor: all have a start and states. */
export type Level = Pick<StateMachine, 'StartAt' | 'States'>;
export type QueryLanguage = 'JSONPath' | 'JSONata';

export function processorOf(state: MapState): NonNullable<MapState['ItemProcessor']> {
  const processor = state.ItemProcessor ?? state.Iterator;
  if (processor === undefined) throw new TypeError('A Map state without ItemProcessor passed the rules.');
  return processor;
}

export function isDistributed(state: MapState): boolean {
  return processorOf(state).ProcessorConfig?.Mode === 'DISTRIBUTED';
}
