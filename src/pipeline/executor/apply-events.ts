/** Events of one turn, one after the other. */
import { asKilnError } from '../../domain/errors.ts';
import { advance } from '../asl/advance.ts';
import type { StateMachine } from '../asl/definition.ts';
import type { Effect, Execution, ExecutionEvent, TaskWait } from '../asl/execution.ts';

export interface Applied {
  readonly execution: Execution;
  readonly effects: readonly Effect[];
  /** Those to store. */
  readonly events: readonly ExecutionEvent[];
}

export async function applyEvents(
  machine: StateMachine,
  before: Execution,
  taken: readonly ExecutionEvent[],
): Promise<Applied> {
  let execution = before;
  const effects: Effect[] = [];
  const events: ExecutionEvent[] = [];
  for (const event of taken) {
    const { applied, advanced } = await orEnded(machine, execution, event);
    events.push(applied);
    execution = advanced.execution;
    effects.push(...advanced.effects);
  }
  return { execution, effects, events };
}

/** A fault of the interpreter's own: the execution ends of it, rather than standing still for ever. */
async function orEnded(machine: StateMachine, execution: Execution, event: ExecutionEvent) {
  try {
    return { applied: event, advanced: await advance(machine, execution, event) };
  } catch (thrown) {
    const { atMs, entropy } = event;
    const cause = `The interpreter failed: ${asKilnError(thrown).message}`;
    const applied: ExecutionEvent = { type: 'aborted', atMs, entropy, error: 'Kiln.Internal', cause };
    return { applied, advanced: await advance(machine, execution, applied) };
  }
}

/** What waits for this task; undefined: nothing does any more. */
export function taskWait(execution: Execution, task: string): TaskWait | undefined {
  for (const { waitsFor } of Object.values(execution.threads)) {
    if (waitsFor.kind === 'task' && waitsFor.request.task === task) return waitsFor;
  }
  return undefined;
}

export function enteredAtMs(execution: Execution, task: string): number {
  const waiting = Object.values(execution.threads).find(
    ({ waitsFor }) => waitsFor.kind === 'task' && waitsFor.request.task === task,
  );
  return waiting?.enteredAtMs ?? execution.startedAtMs;
}
