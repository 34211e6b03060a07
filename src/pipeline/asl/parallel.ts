/** Parallel states: one thread a branch; their outputs in order are the result, one failure is the failure of all. */
import type { ParallelState } from './definition.ts';
import type { BranchesWait, Thread } from './execution.ts';
import { type Failure, StateFailure } from './failure.ts';
import type { Json } from './json.ts';
import { abort } from './stopping.ts';
import { stateOf, type Turn } from './turn.ts';
import { workInput } from './work-input.ts';

export async function beginBranches(turn: Turn, thread: Thread, state: ParallelState): Promise<void> {
  const input = await workInput(turn, thread, state);
  turn.record(thread, 'ParallelStateStarted', { state: thread.state });
  const threads = state.Branches.map((branch, index) => {
    const id = turn.newId('thread');
    turn.put({
      ...thread,
      id,
      parent: { thread: thread.id, index },
      level: [...thread.level, { state: thread.state, branch: index }],
      state: branch.StartAt,
      input,
      variables: {},
      retries: [],
      waitsFor: { kind: 'turn' },
    });
    turn.next({ kind: 'enter', thread: id });
    return id;
  });
  const outputs = threads.map(() => null);
  turn.put({ ...thread, waitsFor: { kind: 'branches', threads, outputs, left: threads.length } });
}

export function branchEnded(
  turn: Turn,
  thread: Thread,
  wait: BranchesWait,
  child: string,
  output: Json,
): void {
  const outputs = wait.outputs.with(wait.threads.indexOf(child), output);
  const left = wait.left - 1;
  turn.remove(child);
  if (left > 0) {
    turn.put({ ...thread, waitsFor: { ...wait, outputs, left } });
    return;
  }
  turn.record(thread, 'ParallelStateSucceeded', { state: thread.state });
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  turn.next({ kind: 'result', thread: thread.id, result: outputs });
}

/** Throws the branch's failure as the state's own. */
export function branchFailed(
  turn: Turn,
  thread: Thread,
  wait: BranchesWait,
  child: string,
  failure: Failure,
): never {
  const failed = turn.thread(child);
  // A Task that failed is recorded as aborted too, as AWS does; a Fail state is not.
  if (failed !== undefined && stateOf(turn, failed).Type === 'Task') abort(turn, child);
  turn.remove(child);
  for (const other of wait.threads) abort(turn, other);
  turn.put({ ...thread, waitsFor: { kind: 'turn' } });
  throw new StateFailure(failure, false);
}
