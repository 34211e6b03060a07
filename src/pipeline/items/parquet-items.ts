/** Rows of a Parquet file as items. What JSON has no form for becomes text: see `jsonOf`. */
import zlib from 'node:zlib';
import { type Compressors, parquetMetadataAsync, parquetReadObjects, snappyUncompress } from 'hyparquet';
import { readerFailure } from '../asl/item-reader.ts';
import type { Json } from '../asl/json.ts';

/** As AWS has it. */
const LARGEST_FOOTER_BYTES = 5 * 1_024 * 1_024;
/** Of all pages, as AWS has it for a row group: a few bytes may unpack to gigabytes. */
const LARGEST_UNPACKED_BYTES = 256 * 1_024 * 1_024;
/** Footer's length and `PAR1`. */
const TAIL_BYTES = 8;
const DAY_MS = 86_400_000;

/** Throws StateFailure (`States.ItemReaderFailed`). */
export async function parquetItems(bytes: Uint8Array, most: number): Promise<readonly Json[]> {
  if (footerBytes(bytes) > LARGEST_FOOTER_BYTES)
    throw readerFailure(`The footer of a Parquet file cannot be larger than ${LARGEST_FOOTER_BYTES} bytes.`);
  const file = {
    byteLength: bytes.byteLength,
    slice: (from: number, to?: number) => Uint8Array.from(bytes.subarray(from, to)).buffer,
  };
  try {
    const metadata = await parquetMetadataAsync(file);
    const rowEnd = Math.min(Number(metadata.num_rows), most);
    if (rowEnd === 0) return [];
    const rows = await parquetReadObjects({
      file,
      metadata,
      rowEnd,
      compressors: boundedCompressors(),
      parsers,
    });
    return rows.map(jsonOf);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw readerFailure(`The Parquet file cannot be read: ${why}`);
  }
}

function footerBytes(bytes: Uint8Array): number {
  const tail = Buffer.from(bytes.subarray(-TAIL_BYTES));
  if (tail.length < TAIL_BYTES || tail.toString('latin1', 4) !== 'PAR1')
    throw readerFailure('The file is no Parquet file.');
  return tail.readUInt32LE(0);
}

/** Those that AWS reads, for pages of a size that fits. */
function boundedCompressors(): Compressors {
  let leftBytes = LARGEST_UNPACKED_BYTES;
  const bounded =
    (unpack: (page: Uint8Array, sizeBytes: number) => Uint8Array) =>
    (page: Uint8Array, sizeBytes: number): Uint8Array => {
      leftBytes -= sizeBytes;
      if (leftBytes < 0) throw new Error(`its pages unpack to more than ${LARGEST_UNPACKED_BYTES} bytes`);
      return unpack(page, sizeBytes);
    };
  const limit = (sizeBytes: number) => ({ maxOutputLength: Math.max(sizeBytes, 1) });
  return {
    GZIP: bounded((page, sizeBytes) => zlib.gunzipSync(page, limit(sizeBytes))),
    ZSTD: bounded((page, sizeBytes) => zlib.zstdDecompressSync(page, limit(sizeBytes))),
    SNAPPY: bounded((page, sizeBytes) => {
      const unpacked = new Uint8Array(sizeBytes);
      snappyUncompress(page, unpacked);
      return unpacked;
    }),
  };
}

/** A day has no time. */
const parsers = {
  dateFromDays: (days: number) => new Date(days * DAY_MS).toISOString().slice(0, 10),
};

/** Whole numbers that a JSON number cannot hold become their digits, times ISO 8601, bytes Base64. */
function jsonOf(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : null;
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case 'object':
      return value === null ? null : jsonOfObject(value);
    default:
      return null;
  }
}

function jsonOfObject(value: object): Json {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(jsonOf);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonOf(inner)]));
}
