import type { Change } from '../change.ts';
import type { ComponentName, ImageId } from '../ids.ts';
import type { Artifact } from '../image.ts';
import type { Page, PageRequest } from '../page.ts';
import type { KeepReason, RetentionDecision, RetentionPolicy } from '../retention.ts';

export interface JanitorState {
  /** False: runs only say what they would do. */
  readonly enabled: boolean;
  readonly usesSeenAtMs: number;
  readonly lastRunAtMs?: number;
}

export interface MarkedImage {
  readonly markedAtMs: number;
  readonly sweepAfterMs: number;
}

export interface AnnouncedImage extends MarkedImage {
  readonly image: ImageId;
  readonly component: ComponentName;
  readonly version: string;
}

/** Of an image that was swept: to be deleted by whoever keeps it. */
export interface SweptArtifact {
  readonly image: ImageId;
  readonly component: ComponentName;
  readonly position: number;
  readonly artifact: Artifact;
}

/** What keeps it (`announced`: its notice), or that it went now or before. */
export type SweepOutcome = KeepReason | 'swept' | 'gone' | 'announced';

/** Images are named by their number in the catalogue, as a decision names them. */
export interface JanitorStore {
  state(): Promise<JanitorState>;
  setEnabled(enabled: boolean, change: Change): Promise<void>;
  /** Looks at all images, in a reader of its own; changes nothing. */
  decide(policy: RetentionPolicy, nowMs: number): Promise<RetentionDecision>;
  /** Why the image is kept; undefined: nothing needs it. */
  keepReason(id: ImageId, policy: RetentionPolicy, nowMs: number): Promise<KeepReason | undefined>;
  /** Announces that they go after this time; at most some hundred at a time. */
  mark(numbers: readonly number[], sweepAfterMs: number, change: Change): Promise<readonly ImageId[]>;
  unmark(numbers: readonly number[], change: Change): Promise<void>;
  marked(id: ImageId): Promise<MarkedImage | undefined>;
  /** All that are marked, newest image first. */
  announced(page: PageRequest): Promise<Page<AnnouncedImage>>;
  /** Takes the mark away and counts as a use; false: it was not marked. */
  restore(id: ImageId, change: Change): Promise<boolean>;
  /**
   * Removes each for which, in this very transaction, notice is over and which nothing needs but others that go with
   * it. At most some hundred at a time.
   */
  sweep(
    numbers: readonly number[],
    policy: RetentionPolicy,
    change: Change,
  ): Promise<ReadonlyMap<number, SweepOutcome>>;
  /** All images that server groups run count as used now. */
  noteUses(atMs: number): Promise<void>;
  finishRun(references: number, atMs: number): Promise<void>;
  /**
   * Some hundred at a time. None that an image stands on which is still there: that one lists it when it goes. And
   * until it is forgotten, no new image can stand on one that a provider keeps.
   */
  sweptArtifacts(after?: Pick<SweptArtifact, 'image' | 'position'>): Promise<readonly SweptArtifact[]>;
  forgetArtifacts(gone: readonly SweptArtifact[]): Promise<void>;
}
