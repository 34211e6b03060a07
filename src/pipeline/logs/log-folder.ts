/**
 * How a task's log lies on disk, in a folder of its own:
 *
 *   about.json   whose log it is
 *   blocks       compressed blocks, one zstd frame each, one after the other: `zstdcat` reads the whole
 *   index        one entry of fixed size for each block, in their order
 *   tail.N       the text after N blocks, as it is; it becomes the block N once it is long enough
 *   groups       a line of JSON for each group: its title, its first line, when it began
 *   end.json     written when the log was closed
 *
 * INVARIANTS
 *   - No byte is written twice: files only grow, so a reader needs nothing of the writer.
 *   - A block counts once its entry is there whole and follows the one before it. Only then does its tail go.
 *     Whatever a crash has left behind the last such entry means nothing, and is written over.
 *   - A tail is as long as what was written, to the byte, after a crash of the process too.
 */
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { isMissing } from '../../files/system-error.ts';

/** Compressed together: small enough to open any line in no time, large enough to be small. */
export const BLOCK_BYTES = 256 * 1024;
export const NEWLINE = 10;

export interface BlockEntry {
  /** Where its frame begins in `blocks`, and how long it is. */
  readonly offset: number;
  readonly sizeBytes: number;
  /** Where its text begins in the whole text, and how long it is. */
  readonly textOffset: number;
  readonly textBytes: number;
  /** Newlines before it, and in it. */
  readonly newlinesBefore: number;
  readonly newlines: number;
  readonly atMs: number;
  /** Of the frame. */
  readonly crc: number;
}

export const ENTRY_BYTES = 52;

export const logFiles = {
  about: (folder: string) => path.join(folder, 'about.json'),
  blocks: (folder: string) => path.join(folder, 'blocks'),
  index: (folder: string) => path.join(folder, 'index'),
  tail: (folder: string, blocks: number) => path.join(folder, `tail.${blocks}`),
  groups: (folder: string) => path.join(folder, 'groups'),
  end: (folder: string) => path.join(folder, 'end.json'),
};

export function entryBytes(entry: BlockEntry): Buffer {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.writeDoubleLE(entry.offset, 0);
  bytes.writeDoubleLE(entry.textOffset, 8);
  bytes.writeDoubleLE(entry.newlinesBefore, 16);
  bytes.writeDoubleLE(entry.atMs, 24);
  bytes.writeUInt32LE(entry.sizeBytes, 32);
  bytes.writeUInt32LE(entry.textBytes, 36);
  bytes.writeUInt32LE(entry.newlines, 40);
  bytes.writeUInt32LE(entry.crc, 44);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, ENTRY_BYTES - 4)), ENTRY_BYTES - 4);
  return bytes;
}

/** The end of all blocks, or the beginning of the log. */
export interface Ends {
  readonly offset: number;
  readonly textOffset: number;
  readonly newlines: number;
}

export function endsOf(last: BlockEntry | undefined): Ends {
  if (last === undefined) return { offset: 0, textOffset: 0, newlines: 0 };
  return {
    offset: last.offset + last.sizeBytes,
    textOffset: last.textOffset + last.textBytes,
    newlines: last.newlinesBefore + last.newlines,
  };
}

/** Those after the entries that are known already; a log without blocks has no index. */
export async function readIndex(
  folder: string,
  known: readonly BlockEntry[] = [],
): Promise<readonly BlockEntry[]> {
  const file = await openIfThere(logFiles.index(folder));
  if (file === undefined) return known;
  try {
    const from = known.length * ENTRY_BYTES;
    const { size } = await file.stat();
    if (size < from + ENTRY_BYTES) return known;
    const entries = [...known];
    const bytes = Buffer.alloc(Math.max(0, size - from));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
    for (let at = 0; at + ENTRY_BYTES <= bytesRead; at += ENTRY_BYTES) {
      const entry = entryOf(bytes.subarray(at, at + ENTRY_BYTES));
      if (entry === undefined || !follows(entry, entries.at(-1))) break;
      entries.push(entry);
    }
    return entries;
  } finally {
    await file.close();
  }
}

function entryOf(bytes: Buffer): BlockEntry | undefined {
  if (crc32(bytes.subarray(0, ENTRY_BYTES - 4)) !== bytes.readUInt32LE(ENTRY_BYTES - 4)) return undefined;
  return {
    offset: bytes.readDoubleLE(0),
    textOffset: bytes.readDoubleLE(8),
    newlinesBefore: bytes.readDoubleLE(16),
    atMs: bytes.readDoubleLE(24),
    sizeBytes: bytes.readUInt32LE(32),
    textBytes: bytes.readUInt32LE(36),
    newlines: bytes.readUInt32LE(40),
    crc: bytes.readUInt32LE(44),
  };
}

function follows(entry: BlockEntry, before: BlockEntry | undefined): boolean {
  const { offset, textOffset, newlines } = endsOf(before);
  return entry.offset === offset && entry.textOffset === textOffset && entry.newlinesBefore === newlines;
}

/** Bytes from there on, fewer at the end of the file. */
export async function readFrom(file: FileHandle, at: number, limitBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(limitBytes);
  let read = 0;
  while (read < limitBytes) {
    const { bytesRead } = await file.read(bytes, read, limitBytes - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}

export async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** JSON of this shape; undefined: it is not there, or was torn by a crash. */
export function readShape<Shape extends z.ZodType>(
  shape: Shape,
  text: string | undefined,
): z.output<Shape> | undefined {
  if (text === undefined) return undefined;
  try {
    return shape.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
