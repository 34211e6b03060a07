/** Ends what a thread has going on: its task, its timer, its branches and items and all that they have going on. */
import type { Thread } from './execution.ts';
import { stateOf, type Turn } from './turn.ts';

/** Of the thread itself nothing is recorded: it goes on with a Retry or a Catch, or tells its own end. */
export function stopWork(turn: Turn, thread: Thread): void {
  const { waitsFor } = thread;
  switch (waitsFor.kind) {
    case 'turn':
      return;
    case 'time':
    case 'backOff':
      turn.effects.push({ type: 'clearTimer', timer: waitsFor.timer });
      return;
    case 'branches':
    case 'items':
      for (const child of waitsFor.threads) abort(turn, child);
      return;
    case 'task':
    case 'reading':
    case 'writing':
      turn.effects.push({ type: 'cancelTask', task: waitsFor.request.task });
      turn.effects.push({ type: 'clearTimer', timer: waitsFor.request.task });
  }
}

/** A thread that another one's failure takes with it. */
export function abort(turn: Turn, id: string): void {
  const thread = turn.thread(id);
  if (thread === undefined) return;
  stopWork(turn, thread);
  turn.record(thread, `${stateOf(turn, thread).Type}StateAborted`, { state: thread.state });
  if (isIteration(thread)) turn.record(thread, 'MapIterationAborted');
  turn.remove(id);
}

/** Of an inline Map; the child of a distributed one has a history of its own. */
function isIteration(thread: Thread): boolean {
  const inner = thread.level.at(-1);
  return inner !== undefined && inner.branch === undefined && thread.scope !== thread.id;
}

/** At the end of the execution: everything stops, and nothing more is recorded. */
export function stopAll(turn: Turn): void {
  for (const thread of [...turn.threads]) {
    if (thread.waitsFor.kind !== 'branches' && thread.waitsFor.kind !== 'items') stopWork(turn, thread);
  }
}
