/** What is known of each image. */
import type { ComponentName, Digest, ImageId, Revision } from '../../domain/ids.ts';
import type { Json } from '../json.ts';

export interface ImageTable {
  id: ImageId;
  ordinal: Revision;
  component: ComponentName;
  version: string;
  input_key: Digest;
  body: Json;
  /** Set: the row stays for those who name it; its `version` has the id behind it, and its `body` little left. */
  swept_at_ms: number | null;
}

interface ImageArtifactTable {
  image_id: ImageId;
  digest: Digest;
}

interface ImageCheckTable {
  image_id: ImageId;
  ordinal: Revision;
  body: Json;
}

interface ImageFindingTable {
  image_id: ImageId;
  source: string;
  at_ms: number;
  body: Json;
}

interface WaiverTable {
  id: string;
  ordinal: Revision;
  body: Json;
}

interface ImageRevocationTable {
  image_id: ImageId;
  ordinal: Revision;
  body: Json;
}

export interface RebakeTable {
  image_id: ImageId;
  onto: ImageId;
  ordinal: Revision;
  at_ms: number;
  failed: number;
  body: Json;
}

/** Where an image is in a registry, as `HOST/NAME@sha256:…`. */
interface ImageCopyTable {
  image_id: ImageId;
  reference: string;
}

/** One row. */
interface JanitorTable {
  id: 1;
  enabled: number;
  /** When it was last noted which images run. */
  uses_seen_at_ms: number;
  last_run_at_ms: number | null;
  last_references: number;
}

interface JanitorMarkTable {
  number: number;
  marked_at_ms: number;
  sweep_after_ms: number;
}

/** Artifacts of images that were swept, until whoever keeps them has deleted them. */
interface SweptArtifactTable {
  image_id: ImageId;
  position: number;
  body: Json;
}

export interface ImageTables {
  images: ImageTable;
  image_artifacts: ImageArtifactTable;
  image_checks: ImageCheckTable;
  image_findings: ImageFindingTable;
  waivers: WaiverTable;
  rebakes: RebakeTable;
  image_revocations: ImageRevocationTable;
  janitor: JanitorTable;
  janitor_marks: JanitorMarkTable;
  swept_artifacts: SweptArtifactTable;
  image_copies: ImageCopyTable;
}
