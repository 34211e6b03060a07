/** The working copy of one `advance`: what has changed so far, what is still to be done, what was asked for. */
import type { Level, StateMachine } from './definition.ts';
import { processorOf } from './definition.ts';
import type { Effect, Ending, Execution, HistoryRecord, LevelStep, Thread, Timer } from './execution.ts';
import { type Failure, runtimeFailure } from './failure.ts';
import type { Json } from './json.ts';
import { Entropy } from './random.ts';
import type { State } from './schema.ts';

/** What a thread does next, in this turn. */
export type Step =
  | { readonly kind: 'enter'; readonly thread: string }
  | { readonly kind: 'work'; readonly thread: string }
  | { readonly kind: 'result'; readonly thread: string; readonly result: Json }
  | { readonly kind: 'childEnded'; readonly thread: string; readonly child: string; readonly output: Json }
  | {
      readonly kind: 'childFailed';
      readonly thread: string;
      readonly child: string;
      readonly failure: Failure;
    };

/** AWS ends an execution whose history grows beyond this; so no loop runs for ever. */
const MAX_HISTORY_EVENTS = 25_000;

export class HistoryFull extends Error {
  override readonly name = 'HistoryFull';
}

export class Turn {
  readonly machine: StateMachine;
  readonly nowMs: number;
  readonly entropy: Entropy;
  readonly effects: Effect[] = [];
  readonly history: HistoryRecord[] = [];
  #agenda: Step[] = [];
  #execution: Execution;

  constructor(machine: StateMachine, execution: Execution, nowMs: number, entropy: string) {
    this.machine = machine;
    this.#execution = execution;
    this.nowMs = nowMs;
    this.entropy = new Entropy(entropy);
  }

  get execution(): Execution {
    return this.#execution;
  }

  change(changes: Partial<Execution>): void {
    this.#execution = { ...this.#execution, ...changes };
  }

  /** Undefined once the thread is gone: what was meant for it is then without meaning. */
  thread(id: string): Thread | undefined {
    return this.#execution.threads[id];
  }

  put(thread: Thread): Thread {
    this.change({ threads: { ...this.#execution.threads, [thread.id]: thread } });
    return thread;
  }

  remove(id: string): void {
    const { [id]: _, ...rest } = this.#execution.threads;
    this.change({ threads: rest });
  }

  newId(prefix: string): string {
    const id = `${prefix}${this.#execution.nextId}`;
    this.change({ nextId: this.#execution.nextId + 1 });
    return id;
  }

  next(step: Step): void {
    this.#agenda.push(step);
  }

  take(): Step | undefined {
    return this.#agenda.shift();
  }

  setTimer(timer: Timer): void {
    this.effects.push({ type: 'setTimer', ...timer });
  }

  /** Gives the number of the new history event. */
  record(
    thread: Pick<Thread, 'scope'>,
    type: string,
    facts: Omit<HistoryRecord, 'scope' | 'id' | 'type' | 'atMs'> = {},
  ): number {
    const { scope } = thread;
    const id = (this.#execution.eventCounts[scope] ?? 0) + 1;
    if (id > MAX_HISTORY_EVENTS) throw new HistoryFull();
    this.change({ eventCounts: { ...this.#execution.eventCounts, [scope]: id } });
    this.history.push({ scope, id, type, atMs: this.nowMs, ...facts });
    return id;
  }

  /** Nothing runs any more; the execution is over. */
  end(ending: Ending, type: string): void {
    this.#agenda = [];
    const { status, output, error, cause } = ending;
    const failure = { ...(error !== undefined && { error }), ...(cause !== undefined && { cause }) };
    const id = (this.#execution.eventCounts.main ?? 0) + 1;
    this.history.push({
      scope: 'main',
      id,
      type,
      atMs: this.nowMs,
      ...failure,
      ...(output !== undefined && { output }),
    });
    const { deadline, ...rest } = this.#execution;
    if (deadline !== undefined) this.effects.push({ type: 'clearTimer', timer: deadline.timer });
    this.#execution = {
      ...rest,
      status,
      ...failure,
      ...(output !== undefined && { output }),
      threads: {},
      eventCounts: { main: id },
    };
    this.effects.push({ type: 'ended', status, ...failure, ...(output !== undefined && { output }) });
  }
}

function levelAt(machine: StateMachine, steps: readonly LevelStep[]): Level {
  let level: Level = machine;
  for (const step of steps) {
    const state = level.States[step.state];
    if (state?.Type === 'Map') level = processorOf(state);
    else if (state?.Type === 'Parallel') level = state.Branches[step.branch ?? 0] ?? level;
  }
  return level;
}

export function stateOf(turn: Turn, thread: Thread): State {
  const level = levelAt(turn.machine, thread.level);
  const state = Object.hasOwn(level.States, thread.state) ? level.States[thread.state] : undefined;
  if (state === undefined) throw runtimeFailure(`There is no state '${thread.state}'.`);
  return state;
}

/** A state's own language, else that of the machine; branches and processors have none of their own. */
export function isJsonata(turn: Turn, state: State): boolean {
  return (state.QueryLanguage ?? turn.machine.QueryLanguage) === 'JSONata';
}
