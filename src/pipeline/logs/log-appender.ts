/** Puts text into the files of a log, see `log-folder.ts`; one for a log at a time. */
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, zstdCompress } from 'node:zlib';
import { isMissing } from '../../files/system-error.ts';
import {
  BLOCK_BYTES,
  type BlockEntry,
  ENTRY_BYTES,
  endsOf,
  entryBytes,
  logFiles,
  NEWLINE,
  readIndex,
} from './log-folder.ts';
import { newlinesIn } from './masker.ts';

const compress = promisify(zstdCompress);
const FILE_MODE = 0o600;
const WITHOUT_CUTTING = constants.O_RDWR | constants.O_CREAT;

export class LogAppender {
  readonly #folder: string;
  readonly #now: () => number;
  readonly #blocks: FileHandle;
  readonly #index: FileHandle;
  #tail: FileHandle;
  #sealed: number;
  #last: BlockEntry | undefined;
  /** The text of the tail. */
  #block: Buffer[];
  #blockBytes: number;
  #blockNewlines: number;

  private constructor(
    folder: string,
    now: () => number,
    files: { readonly blocks: FileHandle; readonly index: FileHandle; readonly tail: FileHandle },
    before: { readonly entries: readonly BlockEntry[]; readonly text: Buffer },
  ) {
    this.#folder = folder;
    this.#now = now;
    this.#blocks = files.blocks;
    this.#index = files.index;
    this.#tail = files.tail;
    this.#sealed = before.entries.length;
    this.#last = before.entries.at(-1);
    this.#block = [before.text];
    this.#blockBytes = before.text.length;
    this.#blockNewlines = newlinesIn(before.text);
  }

  /** Of an empty folder, or of one that a dead server has left: what is torn there is written over. */
  static async open(folder: string, now: () => number): Promise<LogAppender> {
    const entries = await readIndex(folder);
    const tailFile = logFiles.tail(folder, entries.length);
    const text = await readFile(tailFile).catch((error: unknown) => {
      if (isMissing(error)) return Buffer.alloc(0);
      throw error;
    });
    if (entries.length > 0) await rm(logFiles.tail(folder, entries.length - 1), { force: true });
    const opened: FileHandle[] = [];
    const file = async (name: string): Promise<FileHandle> => {
      const handle = await open(name, WITHOUT_CUTTING, FILE_MODE);
      opened.push(handle);
      return handle;
    };
    try {
      const [blocks, index, tail] = [
        await file(logFiles.blocks(folder)),
        await file(logFiles.index(folder)),
        await file(tailFile),
      ];
      await index.truncate(entries.length * ENTRY_BYTES);
      return new LogAppender(folder, now, { blocks, index, tail }, { entries, text });
    } catch (error) {
      for (const handle of opened) await handle.close();
      throw error;
    }
  }

  /** In the whole text so far. */
  get newlines(): number {
    return endsOf(this.#last).newlines + this.#blockNewlines;
  }

  get endsInLine(): boolean {
    const last = this.#block.at(-1);
    return last !== undefined && last.length > 0 && last.at(-1) !== NEWLINE;
  }

  /** So many of the bytes are in the log; fewer than all of them with the error that stopped it. */
  async append(bytes: Buffer): Promise<{ readonly taken: number; readonly error?: unknown }> {
    let taken = 0;
    try {
      while (taken < bytes.length) {
        if (this.#blockBytes >= BLOCK_BYTES) await this.#seal(this.#cut());
        const piece = bytes.subarray(taken, taken + BLOCK_BYTES - this.#blockBytes);
        const { bytesWritten } = await this.#tail.write(piece, 0, piece.length, this.#blockBytes);
        const written = piece.subarray(0, bytesWritten);
        this.#block.push(written);
        this.#blockBytes += bytesWritten;
        this.#blockNewlines += newlinesIn(written);
        taken += bytesWritten;
      }
      return { taken };
    } catch (error) {
      return { taken, error };
    }
  }

  /** The rest becomes a block too, and all is on the disk. */
  async close(): Promise<void> {
    try {
      if (this.#blockBytes > 0) await this.#seal(this.#blockBytes);
      await rm(logFiles.tail(this.#folder, this.#sealed), { force: true });
      await this.#blocks.datasync();
      await this.#index.datasync();
    } finally {
      await this.#tail.close();
      await this.#blocks.close();
      await this.#index.close();
    }
  }

  /** A block ends with a line, unless it is one line. */
  #cut(): number {
    return Buffer.concat(this.#block).lastIndexOf(NEWLINE) + 1 || this.#blockBytes;
  }

  async #seal(textBytes: number): Promise<void> {
    const whole = Buffer.concat(this.#block);
    const [text, rest] = [whole.subarray(0, textBytes), Buffer.from(whole.subarray(textBytes))];
    const frame = await compress(text);
    const ends = endsOf(this.#last);
    await writeAll(this.#blocks, frame, ends.offset);
    // The rest is in its new place before the old one counts no more.
    const next = await open(logFiles.tail(this.#folder, this.#sealed + 1), 'w', FILE_MODE);
    const entry: BlockEntry = {
      offset: ends.offset,
      sizeBytes: frame.length,
      textOffset: ends.textOffset,
      textBytes,
      newlinesBefore: ends.newlines,
      newlines: newlinesIn(text),
      atMs: this.#now(),
      crc: crc32(frame),
    };
    try {
      await writeAll(next, rest, 0);
      await writeAll(this.#index, entryBytes(entry), this.#sealed * ENTRY_BYTES);
    } catch (error) {
      await next.close();
      throw error;
    }
    await this.#tail.close();
    await rm(logFiles.tail(this.#folder, this.#sealed), { force: true });
    this.#tail = next;
    this.#sealed += 1;
    this.#last = entry;
    this.#block = [rest];
    this.#blockBytes = rest.length;
    this.#blockNewlines = newlinesIn(rest);
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, at + written);
    written += bytesWritten;
  }
}
