/** The items of one file, as it lies there: packed or not, text or Parquet. */
import zlib from 'node:zlib';
import { parseItems, readerFailure } from '../asl/item-reader.ts';
import type { Json, JsonObject } from '../asl/json.ts';

export const LARGEST_FILE_BYTES = 32 * 1_024 * 1_024;

export interface ItemFile {
  readonly bytes: Uint8Array;
  /** The ReaderConfig. */
  readonly config: JsonObject;
  /** So many of its items are wanted at most. */
  readonly most: number;
}

/** Throws StateFailure (`States.ItemReaderFailed`). */
export async function itemsOfFile({ bytes, config, most }: ItemFile): Promise<readonly Json[]> {
  if (config.InputType === 'PARQUET') {
    const { parquetItems } = await import('./parquet-items.ts');
    return parquetItems(bytes, most);
  }
  return parseItems(textOf(bytes), config).slice(0, most);
}

const LIMIT = { maxOutputLength: LARGEST_FILE_BYTES };
const PACKED = [
  { begin: [0x1f, 0x8b], unpack: (bytes: Uint8Array) => zlib.gunzipSync(bytes, LIMIT) },
  { begin: [0x28, 0xb5, 0x2f, 0xfd], unpack: (bytes: Uint8Array) => zlib.zstdDecompressSync(bytes, LIMIT) },
];

/** Gzip and Zstandard are known by how they begin, as no text does. */
export function textOf(bytes: Uint8Array): string {
  const packed = PACKED.find(({ begin }) => begin.every((byte, at) => bytes[at] === byte));
  const text = packed === undefined ? bytes : unpacked(bytes, packed.unpack);
  return new TextDecoder().decode(text);
}

function unpacked(bytes: Uint8Array, unpack: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  try {
    return unpack(bytes);
  } catch (thrown) {
    if (thrown instanceof RangeError)
      throw readerFailure(`The file is larger than ${LARGEST_FILE_BYTES} bytes when unpacked.`);
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw readerFailure(`The file cannot be unpacked: ${why}`);
  }
}
