/**
 * Sources of pipelines and the events that start them, as the store keeps them. An event is stored before anybody acts
 * on it, and stays `waiting` until whoever acted on it says what came of it.
 */
import type { Change } from '../change.ts';
import type { Revision } from '../ids.ts';
import type { Page, PageRequest } from '../page.ts';
import type { PipelineSource, TriggerEvent } from '../trigger.ts';

export type TriggerOutcome =
  | { readonly kind: 'started'; readonly execution: string }
  /** It asks for nothing that the source wants: why. */
  | { readonly kind: 'passed-over'; readonly why: string }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** One event, for one source. */
export interface TakenEvent {
  readonly number: Revision;
  readonly source: string;
  /** The same for the same event of the source, and for no other. */
  readonly key: string;
  readonly event: TriggerEvent;
  readonly takenAtMs: number;
  /** Absent: waiting. */
  readonly outcome?: TriggerOutcome;
}

/** Where a ref of a repository was seen to stand. */
export interface RefHead {
  readonly ref: string;
  readonly commit: string;
}

export interface TriggerStore {
  /** With the refs of its repository as they stand: what stands there already is no push. */
  register(source: PipelineSource, heads: readonly RefHead[], change: Change): Promise<PipelineSource>;
  /** What its file says now; false: it is not registered any more. */
  update(
    id: string,
    facts: Pick<PipelineSource, 'component' | 'triggers' | 'checkout' | 'base'>,
    change: Change,
  ): Promise<boolean>;
  /** Its waiting events go with it; false: it was not there. */
  remove(id: string, change: Change): Promise<boolean>;
  source(id: string): Promise<PipelineSource | undefined>;
  /** All of them, oldest first. */
  sources(): Promise<readonly PipelineSource[]>;
  heads(source: string): Promise<readonly RefHead[]>;
  /** A ref that is gone: it may come back at the same commit. With `commit`, only while it is noted there. */
  forgetHead(source: string, ref: string, commit?: string): Promise<void>;
  /**
   * Durable when it resolves; answers the number it has, or undefined when it was taken before: its key is known, or
   * it is a push and the ref was seen at that commit last. With `since`, a push that was found by comparing with what
   * was noted then: it is nothing any more when the ref is noted elsewhere meanwhile.
   */
  take(
    source: string,
    key: string,
    event: TriggerEvent,
    change: Change,
    since?: { readonly head: string | undefined },
  ): Promise<Revision | undefined>;
  /** Oldest first. */
  waiting(limit: number): Promise<readonly TakenEvent[]>;
  settle(number: Revision, outcome: TriggerOutcome, change: Change): Promise<void>;
  /** Newest first. */
  list(filter: { readonly source?: string }, page: PageRequest): Promise<Page<TakenEvent>>;
  /** Forgets some of those that were taken before and are settled, oldest first; how many. */
  prune(takenBeforeMs: number): Promise<number>;
  /** A number that somebody goes on from after a restart; undefined: never noted. */
  cursor(name: string): Promise<number | undefined>;
  note(name: string, value: number): Promise<void>;
}
