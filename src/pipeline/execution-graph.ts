/** The definition of an execution as a picture, with how each of its states stands. */
import { KilnError } from '../domain/errors.ts';
import type { ExecutionStatus, ExecutionStore } from '../domain/ports/executions.ts';
import type { HistoryRecord } from './asl/execution.ts';
import { graphOf } from './definition/graph.ts';
import { svg } from './definition/svg.ts';
import type { Machines } from './executor/machines.ts';
import { replay } from './executor/stored-state.ts';

/** `caught`: it failed, and the execution went on by its Catch; `stopped`: it was under way when the execution ended. */
export type StateStatus = 'running' | 'succeeded' | 'caught' | 'failed' | 'stopped';

export interface ExecutionGraph {
  /** Without a style: whoever shows it has one. Each state is a group with its name as `data-state`. */
  readonly svg: string;
  readonly states: readonly { readonly state: string; readonly status: StateStatus }[];
}

export interface GraphParts {
  readonly executions: Pick<ExecutionStore, 'get' | 'events'>;
  readonly machines: Machines;
}

export async function executionGraph(
  { executions, machines }: GraphParts,
  id: string,
): Promise<ExecutionGraph> {
  const record = await executions.get(id);
  if (record === undefined)
    throw new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
  const machine = await machines.get(record.definition);
  const { history } = await replay(machine, record, await executions.events(id));
  return {
    svg: svg(graphOf(machine)).replace(/<style>[\s\S]*?<\/style>\n?/, ''),
    states: [...statesOf(history, record.status)].map(([state, status]) => ({ state, status })),
  };
}

/** Of those that were entered; one that was entered several times is as it was last, or runs while any of them does. */
export function statesOf(
  history: readonly Pick<HistoryRecord, 'type' | 'state'>[],
  ended: ExecutionStatus,
): ReadonlyMap<string, StateStatus> {
  const found = new Map<string, { open: number; fails: boolean; status: StateStatus }>();
  for (const { type, state } of history) {
    if (state === undefined) continue;
    const before = found.get(state) ?? { open: 0, fails: false, status: 'running' as const };
    if (type.endsWith('StateEntered')) {
      found.set(state, { open: before.open + 1, fails: type.startsWith('Fail'), status: 'running' });
    } else if (type.endsWith('StateExited')) {
      const status = before.fails ? 'caught' : 'succeeded';
      found.set(state, { ...before, open: before.open - 1, status });
    } else if (type.endsWith('StateAborted')) {
      found.set(state, { ...before, open: before.open - 1, status: 'stopped' });
    } else {
      found.set(state, { ...before, fails: /(?:Failed|TimedOut)$/.test(type) });
    }
  }
  const isOver = ended !== 'RUNNING' && ended !== 'PENDING';
  const last = ended === 'ABORTED' ? 'stopped' : 'failed';
  return new Map(
    [...found].map(([state, { open, fails, status }]) => {
      if (open <= 0) return [state, status];
      if (!isOver) return [state, 'running'];
      return [state, fails ? 'failed' : last];
    }),
  );
}
