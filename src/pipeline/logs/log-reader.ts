/** Reads a log from its files, at any byte or line, while it is written too. */
import { stat } from 'node:fs/promises';
import { crc32, zstdDecompressSync } from 'node:zlib';
import { KilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import type { BlockCache } from './block-cache.ts';
import {
  type BlockEntry,
  endsOf,
  logFiles,
  NEWLINE,
  openIfThere,
  readFrom,
  readIndex,
} from './log-folder.ts';
import { newlinesIn } from './masker.ts';

/** A reader that begins gives its first lines at once. */
const PIECE_BYTES = 64 * 1024;
const MIN_CHUNK_BYTES = 64;

/** Bytes of the text that stand together. */
export interface LogPiece {
  readonly textOffset: number;
  readonly bytes: Buffer;
}

export class LogReader {
  readonly #folder: string;
  readonly #blocks: BlockCache;
  #index: readonly BlockEntry[] = [];

  constructor(folder: string, blocks: BlockCache) {
    this.#folder = folder;
    this.#blocks = blocks;
  }

  /** Length of the whole text, and its newlines. */
  async extent(): Promise<{ textBytes: number; newlines: number }> {
    for (;;) {
      await this.#refresh();
      const { textOffset, newlines } = endsOf(this.#index.at(-1));
      const tail = await this.#tail(0, Number.POSITIVE_INFINITY);
      if (tail === 'sealed') continue;
      return { textBytes: textOffset + tail.length, newlines: newlines + newlinesIn(tail) };
    }
  }

  /** What is there from this byte on, up to a piece; empty: nothing so far. Ends after a newline where it can. */
  async at(textOffset: number, limitBytes = PIECE_BYTES): Promise<LogPiece> {
    for (;;) {
      if (textOffset >= endsOf(this.#index.at(-1)).textOffset) await this.#refresh();
      const sealed = endsOf(this.#index.at(-1)).textOffset;
      if (textOffset < sealed) {
        const number = this.#lastBlock(({ textOffset: begin }) => begin <= textOffset);
        const text = await this.#block(number);
        const from = textOffset - (this.#index[number]?.textOffset ?? 0);
        return { textOffset, bytes: wholeLines(text.subarray(from), limitBytes) };
      }
      // A few more, to see where a character ends.
      const tail = await this.#tail(textOffset - sealed, limitBytes + 4);
      if (tail !== 'sealed') return { textOffset, bytes: wholeLines(tail, limitBytes) };
    }
  }

  /** Where a line begins, counted from 1; the end, when there are fewer. */
  async offsetOf(line: number): Promise<number> {
    const newlines = line - 1;
    if (newlines <= 0) return 0;
    for (;;) {
      await this.#refresh();
      const sealed = endsOf(this.#index.at(-1));
      if (newlines <= sealed.newlines) {
        // The newline that ends the line before is in the last block that begins before it.
        const number = this.#lastBlock(({ newlinesBefore }) => newlinesBefore < newlines);
        const { textOffset = 0, newlinesBefore = 0 } = this.#index[number] ?? {};
        return textOffset + afterNewlines(await this.#block(number), newlines - newlinesBefore);
      }
      const tail = await this.#tail(0, Number.POSITIVE_INFINITY);
      if (tail !== 'sealed') return sealed.textOffset + afterNewlines(tail, newlines - sealed.newlines);
    }
  }

  /** The number of the line that this byte is in, counted from 1. */
  async lineAt(textOffset: number): Promise<number> {
    for (;;) {
      await this.#refresh();
      const sealed = endsOf(this.#index.at(-1));
      if (textOffset < sealed.textOffset) {
        const number = this.#lastBlock((entry) => entry.textOffset <= textOffset);
        const { textOffset: begin = 0, newlinesBefore = 0 } = this.#index[number] ?? {};
        return newlinesBefore + newlinesIn((await this.#block(number)).subarray(0, textOffset - begin)) + 1;
      }
      const tail = await this.#tail(0, Number.POSITIVE_INFINITY);
      if (tail !== 'sealed')
        return sealed.newlines + newlinesIn(tail.subarray(0, textOffset - sealed.textOffset)) + 1;
    }
  }

  async #refresh(): Promise<void> {
    this.#index = await readIndex(this.#folder, this.#index);
  }

  /** Its number, by what holds of all entries up to it and of none after. */
  #lastBlock(holds: (entry: BlockEntry) => boolean): number {
    let [low, high] = [0, this.#index.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const entry = this.#index[middle];
      if (entry !== undefined && holds(entry)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #block(number: number): Promise<Buffer> {
    const entry = this.#index[number];
    if (entry === undefined) return Promise.reject(this.#damaged({ newlinesBefore: 0, newlines: 0 }));
    return this.#blocks.get(`${this.#folder}:${entry.offset}:${entry.crc}`, () => this.#readBlock(entry));
  }

  async #readBlock(entry: BlockEntry): Promise<Buffer> {
    const file = await openIfThere(logFiles.blocks(this.#folder));
    if (file === undefined) throw this.#damaged(entry);
    try {
      const frame = await readFrom(file, entry.offset, entry.sizeBytes);
      if (frame.length < entry.sizeBytes || crc32(frame) !== entry.crc) throw this.#damaged(entry);
      // At once, into one buffer: a stream for each block would leave more behind than the block is.
      return zstdDecompressSync(frame, { chunkSize: Math.max(MIN_CHUNK_BYTES, entry.textBytes) });
    } finally {
      await file.close();
    }
  }

  /** The text behind the blocks, as far as it is known; `sealed`: it has become a block meanwhile. */
  async #tail(from: number, limitBytes: number): Promise<Buffer | 'sealed'> {
    const file = await openIfThere(logFiles.tail(this.#folder, this.#index.length));
    if (file === undefined) {
      const before = this.#index.length;
      await this.#refresh();
      return this.#index.length > before ? 'sealed' : Buffer.alloc(0);
    }
    try {
      const { size } = await file.stat();
      return await readFrom(file, from, Math.max(0, Math.min(limitBytes, size - from)));
    } finally {
      await file.close();
    }
  }

  #damaged({ newlinesBefore: from, newlines }: Pick<BlockEntry, 'newlinesBefore' | 'newlines'>): KilnError {
    const to = from + newlines;
    return new KilnError(
      'store.damaged',
      `The log in ${this.#folder} is damaged: lines ${from + 1} to ${to} cannot be read.`,
      {
        next: 'Open it at a later line, or look for the cause on the disk.',
        details: { fromLine: from + 1, toLine: to },
      },
    );
  }
}

export async function hasLog(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** As many whole lines as fit; where not one does, as much of it as does, between two characters of UTF-8. */
function wholeLines(bytes: Buffer, limitBytes: number): Buffer {
  const piece = bytes.subarray(0, limitBytes);
  if (piece.length < limitBytes) return piece;
  const end = piece.lastIndexOf(NEWLINE);
  if (end !== -1) return piece.subarray(0, end + 1);
  let cut = piece.length;
  while (cut > piece.length - 4 && ((bytes[cut] ?? 0) & 0xc0) === 0x80) cut -= 1;
  return piece.subarray(0, cut);
}

function afterNewlines(text: Buffer, count: number): number {
  let at = 0;
  for (let left = count; left > 0; left -= 1) {
    const next = text.indexOf(NEWLINE, at);
    if (next === -1) return text.length;
    at = next + 1;
  }
  return at;
}
