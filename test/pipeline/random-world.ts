/** Answers effects in a random order, forgets everything now and then, and tells the same thing twice. */
import { advance, outstanding, pendingExecution } from '../../src/pipeline/asl/advance.ts';
import type { StateMachine } from '../../src/pipeline/asl/definition.ts';
import type { Effect, Execution, ExecutionEvent } from '../../src/pipeline/asl/execution.ts';
import { errorOf, outcomeOf } from './random-machine.ts';

export interface Lived {
  readonly execution: Execution;
  readonly events: readonly ExecutionEvent[];
}

type EventPart =
  | { readonly type: 'started' }
  | { readonly type: 'timerFired'; readonly timer: string }
  | { readonly type: 'taskSucceeded'; readonly task: string; readonly output: number }
  | { readonly type: 'taskFailed'; readonly task: string; readonly error: string; readonly cause: string };

export const INPUT = { passed: 1, items: [1, 2, 3] };
const MOST_EVENTS = 20_000;

/** A small generator of numbers, so that a run is told by its seed alone. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Runs to the end; `crashes` is how likely, after each event, all that is under way is forgotten and asked anew. */
export async function live(machine: StateMachine, seed: number, crashes: number): Promise<Lived> {
  const random = numbers(seed);
  const events: ExecutionEvent[] = [];
  let waiting: EventPart[] = [{ type: 'started' }];
  let timers = new Map<string, number>();
  let execution = pendingExecution(INPUT);
  let nowMs = 1_000;
  const carryOut = (effect: Effect): void => {
    if (effect.type === 'runTask') waiting.push(...answerOf(effect.task, seed));
    if (effect.type === 'setTimer') timers.set(effect.timer, effect.atMs);
    if (effect.type === 'clearTimer') timers.delete(effect.timer);
  };
  while (events.length < MOST_EVENTS) {
    const at = Math.floor(random() * waiting.length);
    const [chosen] = waiting.splice(at, 1);
    const [timer, atMs] = [...timers].sort(([, one], [, other]) => one - other)[0] ?? [];
    if (chosen === undefined && timer === undefined) break;
    if (chosen === undefined && timer !== undefined) timers.delete(timer);
    nowMs = chosen === undefined ? Math.max(nowMs, atMs ?? 0) : nowMs + Math.floor(random() * 50);
    const part: EventPart = chosen ?? { type: 'timerFired', timer: timer ?? '' };
    const event: ExecutionEvent = { ...part, atMs: nowMs, entropy: `${seed}:${events.length}` };
    events.push(event);
    const advanced = await advance(machine, execution, event);
    execution = advanced.execution;
    for (const effect of advanced.effects) carryOut(effect);
    if (random() < crashes) {
      execution = JSON.parse(JSON.stringify(execution));
      waiting = execution.status === 'PENDING' ? [{ type: 'started' }] : [];
      timers = new Map();
      for (const effect of outstanding(execution)) carryOut(effect);
    }
  }
  return { execution, events };
}

function answerOf(task: string, seed: number): EventPart[] {
  const outcome = outcomeOf(task, seed);
  if (outcome === 'never') return [];
  if (outcome === 'succeeds') return [{ type: 'taskSucceeded', task, output: seed % 100 }];
  return [{ type: 'taskFailed', task, error: errorOf(task), cause: 'as decided' }];
}
