/** What became of baking an image again because its base had moved on. */
import type { ErrorCode } from './errors.ts';
import type { ImageId } from './ids.ts';

export type RebakeOutcome =
  /** `checked`: its checks have been carried out to their end, whatever they found. */
  | { readonly kind: 'made'; readonly made: ImageId; readonly checked: boolean }
  /** `made`: it was baked, and could not be checked. */
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly next?: string;
      /** What stood in the way may have gone by itself: it is tried again after a while. */
      readonly retryable?: true;
      readonly made?: ImageId;
    };

/** One image on one new base: that is done once. */
export interface RebakeRecord {
  /** The image that was to be replaced. */
  readonly image: ImageId;
  /** The base that it was baked on again. */
  readonly onto: ImageId;
  readonly outcome: RebakeOutcome;
  readonly atMs: number;
}
