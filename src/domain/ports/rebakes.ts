import type { Change } from '../change.ts';
import type { ImageId } from '../ids.ts';
import type { RebakeRecord } from '../rebake.ts';

export interface RebakeStore {
  /** What is known of this image on this base, instead of what was before. */
  record(rebake: Omit<RebakeRecord, 'atMs'>, change: Change): Promise<void>;
  /** Of these images, on whatever base. */
  of(images: readonly ImageId[]): Promise<readonly RebakeRecord[]>;
  /** Newest first. */
  list(limit: number): Promise<readonly RebakeRecord[]>;
  /** Forgets the failures of an image, so that it is tried again; answers how many there were. */
  retry(image: ImageId, change: Change): Promise<number>;
}
