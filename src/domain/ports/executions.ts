/**
 * Executions of pipelines, as the store keeps them: what each was started with, its events in order, and a
 * snapshot of its state now and then. What events and states hold is the interpreter's affair.
 *
 * Many executions move at once, so their appends are committed together: one fsync for all that wait for one.
 */
import type { Role } from '../audit.ts';
import type { Change } from '../change.ts';
import type { Fence, Revision } from '../ids.ts';
import type { Page, PageRequest } from '../page.ts';

export type ExecutionStatus = 'PENDING' | 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED';

/** What an execution is started with, and never changes. */
export interface ExecutionOrigin {
  readonly id: string;
  /** Its component's name, or what else the pipeline is called. */
  readonly pipeline: string;
  /** Name of the definition, see `putDefinition`. */
  readonly definition: string;
  readonly input: unknown;
  /** What whoever started it may do: its tasks may do no more. */
  readonly rights?: { readonly role: Role; readonly environments: readonly string[] };
  /** Where it begins, when not at the beginning: state, its input, variables. */
  readonly begin?: unknown;
  /** Executions of one group run one at a time, in their order. */
  readonly group?: string;
  /** How the names of holders begin that have its source at hand: while one of them lives, nobody else is given it. */
  readonly home?: string;
  /** The higher is begun first. */
  readonly priority: number;
  /** The execution that this one is a retry or a repetition of. */
  readonly after?: string;
}

export interface ExecutionRecord extends ExecutionOrigin {
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly status: ExecutionStatus;
  readonly endedAtMs?: number;
  /** Number of events so far. */
  readonly sequence: number;
  /** Server that carries it on, or did last. */
  readonly holder?: string;
}

/** What happens when others of its group are open: wait for them, have them cancelled and wait, or fail. */
export type OnOpenGroup = 'queue' | 'newest' | 'refuse';

export interface Claim {
  readonly id: string;
  readonly fence: Fence;
}

export interface StoredExecution {
  readonly record: ExecutionRecord;
  readonly snapshot?: { readonly sequence: number; readonly state: unknown };
  /** Those after the snapshot. */
  readonly events: readonly unknown[];
  readonly signals: readonly ExecutionSignal[];
}

/** What somebody else than its holder has to say to an execution. */
export interface ExecutionSignal {
  readonly number: Revision;
  readonly atMs: number;
  readonly body: unknown;
}

export interface ExecutionAppend {
  readonly id: string;
  readonly fence: Fence;
  /** Events stored so far; it fails with `input.conflict` when there are others. */
  readonly after: number;
  readonly events: readonly unknown[];
  readonly status: ExecutionStatus;
  readonly atMs: number;
  /** The state after these events. */
  readonly snapshot?: unknown;
  /** What it ended of, once it has. */
  readonly failure?: { readonly error?: string; readonly cause?: string };
  /** Signals that these events carry out. */
  readonly consumed?: readonly Revision[];
}

export interface ExecutionStore {
  /** Content under a name that never means another content. */
  putDefinition(name: string, body: unknown): Promise<void>;
  definition(name: string): Promise<unknown>;
  /** Fails with `input.conflict` when its group is open and that is refused. */
  create(origin: ExecutionOrigin, onOpen: OnOpenGroup, change: Change): Promise<ExecutionRecord>;
  get(id: string): Promise<ExecutionRecord | undefined>;
  /** Newest first. */
  list(
    filter: { readonly pipeline?: string; readonly open?: boolean },
    page: PageRequest,
  ): Promise<Page<ExecutionRecord>>;
  /** Those that exist, in no order. */
  load(ids: readonly string[]): Promise<readonly StoredExecution[]>;
  /** All events from the beginning. */
  events(id: string): Promise<readonly unknown[]>;
  /** Durable when it resolves. Fails with `fence.stale` when somebody else holds the execution now. */
  append(append: ExecutionAppend): Promise<void>;
  /** Kept until a holder has carried it out; false: the execution has ended. */
  signal(id: string, action: string, body: unknown, change: Change): Promise<boolean>;
  signals(id: string): Promise<readonly ExecutionSignal[]>;
  /** Says that the holder lives for so long; whatever it has claimed stays its own. */
  renew(holder: string, ttlMs: number, nowMs: number): Promise<void>;
  /** Open executions that no living holder has, as many as asked for; each gets a higher fence. */
  claim(holder: string, limit: number, nowMs: number): Promise<readonly Claim[]>;
  /** All that holders whose names begin so have is free. */
  releaseAll(holders: string): Promise<void>;
}
