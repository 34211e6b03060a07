import type { Change } from '../change.ts';
import type { Finding, FindingSet, Waiver } from '../finding.ts';
import type { ImageId } from '../ids.ts';

export interface FindingStore {
  /** What a source finds now, in place of what it found before; false: it is the same, and nothing was written. */
  put(image: ImageId, source: string, findings: readonly Finding[], change: Change): Promise<boolean>;
  /** Of every source. */
  of(image: ImageId): Promise<readonly FindingSet[]>;
  waive(waiver: Omit<Waiver, 'id' | 'by' | 'createdAtMs'>, change: Change): Promise<Waiver>;
  /** Newest first; those that have expired too. */
  waivers(): Promise<readonly Waiver[]>;
  endWaiver(id: string, change: Change): Promise<void>;
}
