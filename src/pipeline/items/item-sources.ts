/** Where readers find files: a bucket, or the folder of the execution's own source. */
import type { S3, S3Which } from '../../amazon/s3.ts';
import type { JsonObject } from '../asl/json.ts';
import { listSourceFiles, readSourceFile } from './source-files.ts';

/** Fails with a KilnError. */
export interface ItemSource {
  /** The whole file. */
  read(key: string, limitBytes: number, signal: AbortSignal): Promise<Uint8Array>;
  /** What a listing says of each, `Key` and `Size` among it, in the order of their keys. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<JsonObject>;
  /** A bucket that a manifest names; undefined is where the manifest is. */
  at(bucket: string | undefined): ItemSource;
}

type Reads = Pick<S3, 'get' | 'list'>;

export function bucketSource(s3: Reads, bucket: string, which: S3Which = {}): ItemSource {
  return {
    read: (key, limitBytes, signal) => wholeFile(s3.get(bucket, key, limitBytes, signal, which)),
    list: (prefix, signal) => listedObjects(s3, bucket, prefix, signal, which),
    at: (named) => bucketSource(s3, named ?? bucket),
  };
}

/** @param s3 is asked for when a manifest names a bucket: not every execution is lent the keys to one. */
export function folderSource(root: string, s3: () => Reads): ItemSource {
  const source: ItemSource = {
    read: (name, limitBytes, signal) => readSourceFile(root, name, limitBytes, signal),
    list: (prefix, signal) => listSourceFiles(root, prefix, signal),
    at: (bucket) => (bucket === undefined ? source : bucketSource(s3(), bucket)),
  };
  return source;
}

async function* listedObjects(
  s3: Reads,
  bucket: string,
  prefix: string,
  signal: AbortSignal,
  which: S3Which,
): AsyncGenerator<JsonObject> {
  for await (const found of s3.list(bucket, prefix, signal, which)) {
    const { key, sizeBytes, modifiedAtMs, etag, storageClass } = found;
    yield {
      Etag: etag,
      Key: key,
      LastModified: Math.floor(modifiedAtMs / 1_000),
      Size: sizeBytes,
      StorageClass: storageClass,
    };
  }
}

async function wholeFile(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}
