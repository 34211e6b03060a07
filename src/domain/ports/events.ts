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
  /** Events after `revision`, oldest first. */
  after(revision: Revision, limit: number): Promise<readonly KilnEvent[]>;
  revision(): Promise<Revision>;
  /** Resolves when there is a newer revision than this one; other servers' changes included. */
  waitAfter(revision: Revision, signal: AbortSignal): Promise<Revision>;
}
