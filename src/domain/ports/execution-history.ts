/** Executions as people look for them afterwards, and how long they are kept. */
import type { Change } from '../change.ts';
import type { Page, PageRequest } from '../page.ts';
import type { ExecutionStatus } from './executions.ts';

export interface ExecutionSearch {
  readonly pipeline?: string;
  readonly open?: boolean;
  readonly statuses?: readonly ExecutionStatus[];
  /** Kind of what started it, such as `api` or `webhook`. */
  readonly trigger?: string;
  /** How the commit begins. */
  readonly commit?: string;
  readonly actor?: string;
  /** In its id, pipeline, actor, trigger, commit, parameters, error or cause; capitals of ASCII are as small ones. */
  readonly text?: string;
  /** Created then or later. */
  readonly fromMs?: number;
  /** Created before. */
  readonly beforeMs?: number;
}

export interface ExecutionSummary {
  readonly id: string;
  readonly pipeline: string;
  readonly status: ExecutionStatus;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly endedAtMs?: number;
  /** Number of events so far. */
  readonly sequence: number;
  readonly group?: string;
  readonly after?: string;
  readonly trigger?: string;
  readonly commit?: string;
  readonly error?: string;
  readonly cause?: string;
}

/** What of one pipeline's ended executions is kept; open ones always are. */
export interface ExecutionRetention {
  readonly pipeline: string;
  /** The newest so many. */
  readonly count: number;
  /** Those that ended then or later, of these. */
  readonly endedFromMs: number;
  /** Nothing that ended then or later goes: somebody may be about to look at it. */
  readonly sparedFromMs: number;
}

/** Settings of retention. */
export interface Keeping {
  readonly all: {
    /** The newest so many of a pipeline that have ended. */
    readonly executions: number;
    /** Of these, those that ended in the last so many days. */
    readonly days: number;
  };
  /** By pipeline, instead of it. */
  readonly of: Readonly<
    Record<string, { readonly executions?: number | undefined; readonly days?: number | undefined }>
  >;
}

export interface ExecutionHistoryStore {
  /** Newest first; a page never shifts while others are added or removed. */
  search(search: ExecutionSearch, page: PageRequest): Promise<Page<ExecutionSummary>>;
  /** The newest of each pipeline, or of one; newest first within each. */
  newest(perPipeline: number, pipeline?: string): Promise<readonly ExecutionSummary[]>;
  /** Names of all pipelines that have executions, in their order. */
  pipelines(): Promise<readonly string[]>;
  /**
   * Removes what is not kept, at most so many, and says which. The newest that ended and the newest that succeeded of
   * the pipeline stay, however old they are.
   */
  sweep(retention: ExecutionRetention, limit: number, change: Change): Promise<readonly string[]>;
}
