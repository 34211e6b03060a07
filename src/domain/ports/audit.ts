import type { AuditEntry } from '../audit.ts';
import type { Change } from '../change.ts';
import type { Revision } from '../ids.ts';
import type { Page, PageRequest } from '../page.ts';

export interface AuditStore {
  list(page: PageRequest): Promise<Page<AuditEntry>>;
  /** Undefined: the chain is whole; otherwise the first revision that does not fit. */
  firstBroken(): Promise<Revision | undefined>;
  append(
    action: string,
    subject: string,
    detail: Readonly<Record<string, unknown>>,
    change: Change,
  ): Promise<void>;
}
