import type { Digest } from '../ids.ts';

/** Immutable bytes by digest. A digest that is present has been verified when it was written. */
export interface BlobStore {
  has(digest: Digest): Promise<boolean>;
  /** Absolute path of the blob's file, for those that read or map it; fails with `blob.missing`. */
  path(digest: Digest): Promise<string>;
  sizeBytes(digest: Digest): Promise<number>;
  readText(digest: Digest): Promise<string>;
  /** Durable when it returns; writing what exists costs nothing. */
  write(bytes: Uint8Array): Promise<Digest>;
  /** Reads it whole and compares; fails with `blob.damaged` or `blob.missing`. */
  verify(digest: Digest, signal: AbortSignal): Promise<void>;
  delete(digest: Digest): Promise<void>;
  list(): AsyncIterable<Digest>;
}
