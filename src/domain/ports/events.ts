import type { KilnEvent } from '../audit.ts';
import type { Change } from '../change.ts';
import type { Revision } from '../ids.ts';

export interface EventStore {
  append(
    kind: string,
    subject: string,
    data: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<Revision>;
  /**
   * Events after `revision`, oldest first. Fails with `events.pruned` when some of them are no longer kept: then what
   * is there now is to be read anew, and followed from the present revision.
   */
  after(revision: Revision, limit: number): Promise<readonly KilnEvent[]>;
  revision(): Promise<Revision>;
  /**
   * Forgets the oldest events, some thousand at most, that are older than this; answers how many. Never the newest, nor
   * any since the beginning of a deployment or an execution that is open, nor any that one of Kiln's own readers, which
   * go on where they were after a restart, has not read yet. The audit log is none of its.
   */
  prune(olderThanMs: number): Promise<number>;
  /** Resolves when there is a newer revision than this one; other servers' changes included. */
  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision>;
}
