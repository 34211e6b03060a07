/**
 * The state of an execution, the events that move it on and the effects that it asks for. All of it is plain JSON:
 * an executor stores events (or executions) and can go on from them after a crash, on any machine.
 */
import type { Failure } from './failure.ts';
import type { Json, JsonObject } from './json.ts';
import type { LimitInForce } from './task-limit.ts';

export type ExecutionStatus = 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

export interface Execution {
  readonly status: ExecutionStatus;
  readonly input: Json;
  /**
   * The part of the context object that does not change: `Execution` (Id, Name, RoleArn…), `StateMachine` and
   * whatever else the caller wants `$$` to hold.
   */
  readonly context: JsonObject;
  /** Where it begins, when not at the machine's start. */
  readonly begin?: Beginning;
  readonly startedAtMs: number;
  /** Everything that runs or waits now: the machine itself, branches and iterations. */
  readonly threads: Readonly<Record<string, Thread>>;
  /** The number of history events so far, of the execution (`main`) and of each child of a distributed Map. */
  readonly eventCounts: Readonly<Record<string, number>>;
  /** The next number for a thread, task or timer; none is ever used twice. */
  readonly nextId: number;
  /** When the whole machine times out. */
  readonly deadline?: Timer;
  readonly output?: Json;
  readonly error?: string;
  readonly cause?: string;
}

/** A state of the machine itself, with what it is entered with. */
export interface Beginning {
  readonly state: string;
  readonly input: Json;
  readonly variables: JsonObject;
}

export interface Timer {
  readonly timer: string;
  readonly atMs: number;
}

export const MAIN = 'main';

/** One flow of control: it is in exactly one state, and waits for exactly one thing. */
export interface Thread {
  readonly id: string;
  /** The thread whose Parallel or Map state began this one, and which of its branches or items this is. */
  readonly parent?: { readonly thread: string; readonly index: number };
  /** Keys from the machine down to the states that this thread is among: `Fan.0`, `Each`… */
  readonly level: readonly LevelStep[];
  /** Whose history and variables it belongs to: `main`, or the child of a distributed Map. */
  readonly scope: string;
  readonly state: string;
  readonly input: Json;
  /** Assigned in this thread; those of outer threads of the same scope are seen too. */
  readonly variables: JsonObject;
  /** `Map.Item` of the context object, for an iteration. */
  readonly item?: JsonObject;
  /** `Execution` of the context object, for a child of a distributed Map. */
  readonly child?: JsonObject;
  readonly enteredAtMs: number;
  readonly enteredEventId: number;
  /** How often each Retry entry of the state has been used since the state was entered. */
  readonly retries: readonly number[];
  readonly waitsFor: Wait;
}

export interface LevelStep {
  readonly state: string;
  /** Which branch of a Parallel; undefined for the processor of a Map. */
  readonly branch?: number;
}

export type Wait =
  /** To be worked on before `advance` returns; never stored. */
  | { readonly kind: 'turn' }
  | { readonly kind: 'time'; readonly timer: string; readonly atMs: number }
  | { readonly kind: 'backOff'; readonly timer: string; readonly atMs: number }
  | TaskWait
  | BranchesWait
  | ItemsWait
  | TransferWait<'reading', ReadItems>
  | TransferWait<'writing', WriteResults>;

export interface TransferWait<Kind extends 'reading' | 'writing', Request> {
  readonly kind: Kind;
  readonly request: Request;
  readonly timeoutAtMs: number;
  readonly mapRun: string;
}

export interface TaskWait {
  readonly kind: 'task';
  readonly request: RunTask;
  readonly timeoutAtMs: number;
  /** What `timeoutAtMs` follows from, where the state names no time-out. */
  readonly limit?: LimitInForce;
  readonly heartbeatMs?: number;
  readonly heartbeatAtMs?: number;
  readonly started: boolean;
  readonly submitted: boolean;
}

export interface BranchesWait {
  readonly kind: 'branches';
  readonly threads: readonly string[];
  /** By branch; null until `left` says that all are in. */
  readonly outputs: readonly Json[];
  readonly left: number;
}

export interface ItemsWait {
  readonly kind: 'items';
  readonly items: readonly Json[];
  /** Threads that run now. */
  readonly threads: readonly string[];
  readonly next: number;
  /** By item; null where it failed or has not ended. */
  readonly outputs: readonly Json[];
  readonly failed: readonly number[];
  readonly done: number;
  readonly maxConcurrency: number;
  readonly tolerated: { readonly count?: number; readonly percentage?: number };
  /** Of a distributed Map. */
  readonly mapRun?: string;
  /** Those that have ended, where that is to be written. */
  readonly children?: readonly MapChild[];
}

/** A child of a distributed Map that has ended; its output is among those of the Map. */
export interface MapChild {
  readonly index: number;
  readonly id: string;
  readonly name: string;
  readonly input: Json;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly failure?: Failure;
}

/** An event's time and entropy are all that the interpreter knows of clock and chance. */
export type ExecutionEvent = EventFacts & EventKind;

interface EventFacts {
  readonly atMs: number;
  /** Unguessable and new for each event (16 random bytes as hex, say); stored with it. */
  readonly entropy: string;
}

type EventKind =
  | { readonly type: 'started' }
  | { readonly type: 'timerFired'; readonly timer: string }
  | { readonly type: 'taskStarted'; readonly task: string }
  /** The request of a `.sync` or `.waitForTaskToken` task was taken; its end comes later. */
  | { readonly type: 'taskSubmitted'; readonly task: string }
  | { readonly type: 'taskHeartbeat'; readonly task: string }
  | { readonly type: 'taskSucceeded'; readonly task: string; readonly output: Json }
  | { readonly type: 'taskFailed'; readonly task: string; readonly error?: string; readonly cause?: string }
  | { readonly type: 'itemsRead'; readonly task: string; readonly items: readonly Json[] }
  | { readonly type: 'resultsWritten'; readonly task: string; readonly details: Json }
  | { readonly type: 'aborted'; readonly error?: string; readonly cause?: string };

/** What the outside is asked to do; each may be asked again after a crash, with the same id. */
export type Effect =
  | RunTask
  | ReadItems
  | WriteResults
  | { readonly type: 'cancelTask'; readonly task: string }
  | ({ readonly type: 'setTimer' } & Timer)
  | { readonly type: 'clearTimer'; readonly timer: string }
  | ({ readonly type: 'ended' } & Ending);

export interface RunTask {
  readonly type: 'runTask';
  /** Unique to this attempt: the idempotency key. */
  readonly task: string;
  readonly state: string;
  readonly resource: string;
  readonly arguments: Json;
  readonly credentials?: Json;
  /** How the task ends: with the answer, with the end of what it began, or when its token comes back. */
  readonly ends: 'answered' | 'sync' | 'tokenReturned';
  readonly token?: string;
  /** 0 for the first. */
  readonly attempt: number;
  readonly timeoutAtMs: number;
  readonly heartbeatMs?: number;
}

/** Answered by `itemsRead`, or by `taskFailed` with `States.ItemReaderFailed`. */
export interface ReadItems {
  readonly type: 'readItems';
  readonly task: string;
  readonly state: string;
  readonly resource: string;
  readonly arguments: Json;
  readonly config: JsonObject;
}

/** Answered by `resultsWritten`, or by `taskFailed` with `States.ResultWriterFailed`. */
export interface WriteResults {
  readonly type: 'writeResults';
  readonly task: string;
  readonly state: string;
  readonly resource: string;
  readonly arguments: Json;
  readonly config: JsonObject;
  /** The last part of the folder to write to. */
  readonly mapRunId: string;
  readonly mapRunArn: string;
  readonly machine: Json;
  /** By index. */
  readonly outputs: readonly Json[];
  readonly children: readonly MapChild[];
}

export interface Ending extends Pick<Failure, 'error' | 'cause'> {
  readonly status: Exclude<ExecutionStatus, 'PENDING' | 'RUNNING'>;
  readonly output?: Json;
}

/** One entry of the history, counted and named as AWS does. */
export interface HistoryRecord {
  readonly scope: string;
  readonly id: number;
  readonly type: string;
  readonly atMs: number;
  readonly state?: string;
  readonly input?: Json;
  readonly output?: Json;
  readonly assigned?: JsonObject;
  readonly error?: string;
  readonly cause?: string;
}
