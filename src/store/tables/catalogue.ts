/** What images are found by. */
import type { ComponentName, ImageId } from '../../domain/ids.ts';

/** What the catalogue finds an image by; its number counts images and is never given twice. */
export interface ImageIndexTable {
  number: number;
  image_id: ImageId;
  component: ComponentName;
  /** See store/catalogue/version-blocks.ts. */
  place: string;
  /** The number of the image that it was baked from, and `component@channel`, where that one was taken from. */
  parent: number | null;
  base: string | null;
  created_at_ms: number;
  /** When an instance of it was last known to run. */
  used_at_ms: number | null;
  pinned: number;
}

/** Which images stand under a term, in chunks of numbers; see store/catalogue/bits.ts. */
interface ImagePostingTable {
  term: string;
  chunk: number;
  bits: Uint8Array;
}

interface VersionBlockTable {
  component: string;
  first_place: string;
  numbers: Uint8Array;
}

/** An image that others were baked from, by the channel that they took it from. */
interface ImageEdgeTable {
  parent: number;
  base: string;
  outdated: number;
}

export interface CatalogueTables {
  image_index: ImageIndexTable;
  image_postings: ImagePostingTable;
  version_blocks: VersionBlockTable;
  image_edges: ImageEdgeTable;
}
