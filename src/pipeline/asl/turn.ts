/** The working copy of one `advance`: what has changed so far, what is still to be done, what was asked for. */
import type { Level, StateMachine } from './definition.ts';
import { processorOf } from './definition.ts';
import {
  type Effect,
  type Ending,
  type Execution,
  type HistoryRecord,
  type LevelStep,
  MAIN,
  type Thread,
  type Timer,
} from './execution.ts';
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

type Head = Omit<Execution, 'threads' | 'eventCounts' | 'nextId'>;

export class Turn {
  readonly machine: StateMachine;
  readonly nowMs: number;
  readonly entropy: Entropy;
  readonly effects: Effect[] = [];
  readonly history: HistoryRecord[] = [];
  #agenda: Step[] = [];
  #head: Head;
  #nextId: number;
  /** Copied once and then changed in place: a Map may have thousands. */
  readonly #threads: Map<string, Thread>;
  readonly #eventCounts: Map<string, number>;

  constructor(machine: StateMachine, execution: Execution, nowMs: number, entropy: string) {
    const { threads, eventCounts, nextId, ...head } = execution;
    this.machine = machine;
    this.#head = head;
    this.#nextId = nextId;
    this.#threads = new Map(Object.entries(threads));
    this.#eventCounts = new Map(Object.entries(eventCounts));
    this.nowMs = nowMs;
    this.entropy = new Entropy(entropy);
  }

  /** What the turn has come to. */
  execution(): Execution {
    return {
      ...this.#head,
      threads: Object.fromEntries(this.#threads),
      eventCounts: Object.fromEntries(this.#eventCounts),
      nextId: this.#nextId,
    };
  }

  /** All of the execution but its threads and counts. */
  get head(): Head {
    return this.#head;
  }

  get threads(): Iterable<Thread> {
    return this.#threads.values();
  }

  change(changes: Partial<Head>): void {
    this.#head = { ...this.#head, ...changes };
  }

  /** Undefined once the thread is gone: what was meant for it is then without meaning. */
  thread(id: string): Thread | undefined {
    return this.#threads.get(id);
  }

  put(thread: Thread): Thread {
    this.#threads.set(thread.id, thread);
    return thread;
  }

  remove(id: string): void {
    this.#threads.delete(id);
  }

  newId(prefix: string): string {
    const id = `${prefix}${this.#nextId}`;
    this.#nextId += 1;
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
    const id = (this.#eventCounts.get(scope) ?? 0) + 1;
    if (id > MAX_HISTORY_EVENTS) throw new HistoryFull();
    this.#eventCounts.set(scope, id);
    this.history.push({ scope, id, type, atMs: this.nowMs, ...facts });
    return id;
  }

  /** The history of a child of a distributed Map is over. */
  closeScope(scope: string): void {
    this.#eventCounts.delete(scope);
  }

  /** Nothing runs any more; the execution is over. */
  end(ending: Ending, type: string): void {
    const { status, output, error, cause } = ending;
    const said = {
      ...(output !== undefined && { output }),
      ...(error !== undefined && { error }),
      ...(cause !== undefined && { cause }),
    };
    const { deadline, ...head } = this.#head;
    const id = (this.#eventCounts.get(MAIN) ?? 0) + 1;
    this.#agenda = [];
    this.#threads.clear();
    this.#eventCounts.clear();
    this.#eventCounts.set(MAIN, id);
    this.#head = { ...head, status, ...said };
    this.history.push({ scope: MAIN, id, type, atMs: this.nowMs, ...said });
    if (deadline !== undefined) this.effects.push({ type: 'clearTimer', timer: deadline.timer });
    this.effects.push({ type: 'ended', status, ...said });
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
