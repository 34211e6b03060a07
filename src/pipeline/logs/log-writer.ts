/**
 * One task's log while the task runs: masks what comes and hands it to the disk, in order.
 *
 * MODES
 *   writing   everything that comes goes to disk
 *   losing    the disk takes nothing (it is full, say): the task goes on, what comes is counted and dropped, and each
 *             later piece tries again. Once the disk takes something, the log says first how much is missing
 *   closed    complete; nothing is written any more
 *
 * INVARIANT: in memory are at most the block that is being filled and the pieces that wait for the disk, and whoever
 * writes waits while those are many. Followers read the files; nothing is kept for them here.
 */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import type { Clock } from '../../domain/ports/clock.ts';
import type { TaskLog, TaskLogAbout } from '../../domain/ports/task-log.ts';
import { isSystemError } from '../../files/system-error.ts';
import { BlockCache } from './block-cache.ts';
import { LogAppender } from './log-appender.ts';
import { logFiles, NEWLINE } from './log-folder.ts';
import { LogReader } from './log-reader.ts';
import { Masker } from './masker.ts';

/** Whoever writes more than the disk takes waits from here on. */
const WAITING_BYTES = 1024 * 1024;
const FILE_MODE = 0o600;

export interface LogWriterParts {
  readonly folder: string;
  readonly about: TaskLogAbout;
  readonly clock: Pick<Clock, 'now'>;
  /** More can be read, or nothing will come any more. */
  readonly onChange: () => void;
  readonly onTrouble: (error: unknown) => void;
}

interface GroupBegin {
  readonly title: string;
  /** Of the lines that were given before it, so many are not out yet. */
  readonly heldNewlines: number;
  readonly atMs: number;
}

export class LogWriter implements TaskLog {
  readonly #parts: LogWriterParts;
  readonly #masker: Masker;
  readonly #appender: LogAppender;
  #waiting: (Buffer | GroupBegin)[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | undefined;
  #endsInLine: boolean;
  #missing: { readonly bytes: number; readonly why: string } | undefined;
  #lostBytes = 0;
  #closing: Promise<void> | undefined;

  private constructor(parts: LogWriterParts, appender: LogAppender) {
    this.#parts = parts;
    this.#masker = new Masker(parts.about.secrets);
    this.#appender = appender;
    this.#endsInLine = appender.endsInLine;
  }

  /** Begins a log, or goes on with one that a dead server has left. */
  static async open(parts: LogWriterParts): Promise<LogWriter> {
    const { folder, about, clock } = parts;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { secrets: _, ...shown } = about;
    const text = JSON.stringify({ ...shown, startedAtMs: clock.now() });
    await writeFile(logFiles.about(folder), text, { mode: FILE_MODE, flag: 'wx' }).catch((error: unknown) => {
      if (!isSystemError(error, 'EEXIST')) throw error; // it is gone on with
    });
    await rm(logFiles.end(folder), { force: true });
    return new LogWriter(parts, await LogAppender.open(folder, () => clock.now()));
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve();
    const last = bytes.at(-1);
    if (last !== undefined) this.#endsInLine = last !== NEWLINE;
    this.#give(this.#masker.push(Buffer.from(bytes)));
    return this.#waitingBytes < WAITING_BYTES ? Promise.resolve() : this.#flushed();
  }

  async group(title: string): Promise<void> {
    if (this.#closing !== undefined) return;
    if (this.#endsInLine) await this.write(Buffer.of(NEWLINE));
    const masker = new Masker(this.#parts.about.secrets);
    const masked = Buffer.concat([masker.push(Buffer.from(title)), masker.end()]).toString();
    const { heldNewlines } = this.#masker;
    this.#give({ title: masked, heldNewlines, atMs: this.#parts.clock.now() });
  }

  async tail(limitBytes: number): Promise<string> {
    await this.#flushed();
    const reader = new LogReader(this.#parts.folder, new BlockCache());
    const { textBytes } = await reader.extent();
    const pieces: Buffer[] = [];
    for (let at = Math.max(0, textBytes - limitBytes); at < textBytes; ) {
      const { bytes } = await reader.at(at);
      if (bytes.length === 0) break;
      pieces.push(bytes);
      at += bytes.length;
    }
    return Buffer.concat(pieces).toString();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { folder, clock, onChange, onTrouble } = this.#parts;
    this.#give(this.#masker.end());
    await this.#flushed();
    try {
      await this.#sayWhatIsMissing();
      await this.#appender.close();
      const end = { endedAtMs: clock.now(), lostBytes: this.#lostBytes };
      await writeFile(logFiles.end(folder), JSON.stringify(end), { mode: FILE_MODE });
    } catch (error) {
      onTrouble(error); // what is on disk can be read as it is: the tail needs no block
    } finally {
      onChange();
    }
  }

  #give(item: Buffer | GroupBegin): void {
    if (Buffer.isBuffer(item)) {
      if (item.length === 0) return;
      this.#waitingBytes += item.length;
    }
    this.#waiting.push(item);
    this.#flushing ??= this.#flush();
  }

  #flushed(): Promise<void> {
    return this.#flushing ?? Promise.resolve();
  }

  /** Never rejects: what the disk does not take is counted. */
  async #flush(): Promise<void> {
    for (;;) {
      // What comes in the same moment goes to disk in one piece.
      await new Promise((resolve) => setImmediate(resolve));
      const [first] = this.#waiting;
      if (first === undefined) {
        this.#flushing = undefined;
        return;
      }
      if (Buffer.isBuffer(first)) await this.#flushBytes();
      else {
        this.#waiting.shift();
        await this.#flushGroup(first);
      }
      this.#parts.onChange();
    }
  }

  async #flushBytes(): Promise<void> {
    const until = this.#waiting.findIndex((item) => !Buffer.isBuffer(item));
    const taken = this.#waiting.splice(0, until === -1 ? this.#waiting.length : until);
    const bytes = Buffer.concat(taken.filter((item) => Buffer.isBuffer(item)));
    this.#waitingBytes -= bytes.length;
    await this.#sayWhatIsMissing();
    if (this.#missing === undefined) this.#lose(bytes.length, await this.#appender.append(bytes));
    else this.#lose(bytes.length, { taken: 0, error: this.#missing.why });
  }

  async #flushGroup({ title, heldNewlines, atMs }: GroupBegin): Promise<void> {
    const line = this.#appender.newlines + heldNewlines + 1;
    const text = `${JSON.stringify({ title, line, atMs })}\n`;
    try {
      await appendFile(logFiles.groups(this.#parts.folder), text, { mode: FILE_MODE });
    } catch (error) {
      this.#parts.onTrouble(error); // the lines are there, without their heading
    }
  }

  async #sayWhatIsMissing(): Promise<void> {
    if (this.#missing === undefined) return;
    const { bytes, why } = this.#missing;
    const begin = this.#appender.endsInLine ? '\n' : '';
    const said = Buffer.from(`${begin}[kiln] ${bytes} bytes of this log are missing: ${why}\n`);
    const { taken } = await this.#appender.append(said);
    // Half a sentence is said once more, as a whole.
    if (taken === said.length) this.#missing = undefined;
  }

  #lose(givenBytes: number, { taken, error }: { readonly taken: number; readonly error?: unknown }): void {
    const bytes = givenBytes - taken;
    if (bytes === 0) return;
    if (this.#missing === undefined) this.#parts.onTrouble(error);
    const why = error instanceof Error ? error.message : String(error);
    this.#missing = { bytes: (this.#missing?.bytes ?? 0) + bytes, why };
    this.#lostBytes += bytes;
  }
}
