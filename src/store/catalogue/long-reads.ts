/** Long reads by name, so that they can be asked of another thread. */
import type { ImageQuery } from '../../domain/image-query.ts';
import type { Page, PageRequest } from '../../domain/page.ts';
import type { ExecutionSearch, ExecutionSummary } from '../../domain/ports/execution-history.ts';
import {
  decideRetention,
  KEEP_REASONS,
  type KeepReason,
  keepReasons,
  type RetentionDecision,
  type RetentionPolicy,
} from '../../domain/retention.ts';
import type { Engine, Reader } from '../engine.ts';
import { searchExecutions } from '../execution-search.ts';
import type { Found, SearchPage } from './found.ts';
import { readRetentionView } from './retention-view.ts';
import { search } from './search.ts';

export type LongRead =
  | { readonly kind: 'executions'; readonly search: ExecutionSearch; readonly page: PageRequest }
  | { readonly kind: 'search'; readonly query: ImageQuery; readonly page: SearchPage }
  | { readonly kind: 'retention'; readonly policy: RetentionPolicy; readonly nowMs: number }
  | {
      readonly kind: 'keep-reason';
      readonly number: number;
      readonly policy: RetentionPolicy;
      readonly nowMs: number;
    };

export interface LongReadResults {
  executions: Page<ExecutionSummary>;
  search: Found;
  retention: RetentionDecision;
  'keep-reason': { readonly reason: KeepReason | undefined };
}

export interface LongReads {
  run<Kind extends LongRead['kind']>(read: Extract<LongRead, { kind: Kind }>): Promise<LongReadResults[Kind]>;
  close(): Promise<void>;
}

export async function performRead(db: Reader, read: LongRead): Promise<LongReadResults[LongRead['kind']]> {
  if (read.kind === 'executions') return searchExecutions(db, read.search, read.page);
  if (read.kind === 'search') return search(db, read.query, read.page);
  const view = await readRetentionView(db, read.policy.releasesKept);
  if (read.kind === 'retention') return decideRetention(view, read.policy, read.nowMs);
  const reason = keepReasons(view, read.policy, read.nowMs)[read.number] ?? 0;
  return { reason: KEEP_REASONS[reason - 1] };
}

/** Where each read waits for the database and not for this process, or nobody else waits for it. */
export function ownReads(engine: Engine): LongReads {
  return {
    // Each read is answered with the result of its kind.
    run: (read) => engine.read((db) => performRead(db, read)) as Promise<never>,
    close: async () => undefined,
  };
}
