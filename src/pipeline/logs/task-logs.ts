/** All logs of tasks on this machine: a folder for each execution, in it one for each task. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { z } from 'zod';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { TaskLog, TaskLogAbout, TaskLogs } from '../../domain/ports/task-log.ts';
import { readIfThere } from '../../files/durable-file.ts';
import { namesIn } from '../../files/names-in.ts';
import { BlockCache } from './block-cache.ts';
import { Live } from './live-log.ts';
import { logFiles, readShape } from './log-folder.ts';
import { GroupReader, groupsOf, type LogGroup } from './log-groups.ts';
import { hasLog, LogReader } from './log-reader.ts';
import { LogWriter } from './log-writer.ts';
import { newlinesIn } from './masker.ts';

/** A follower that keeps up gets what has come since then, rather than each line by itself. */
const GATHER_MS = 25;
const SMALL_BYTES = 16 * 1024;
/** A line of a window is shown so far; the text itself has all of it. */
const LINE_SHOWN_BYTES = 16 * 1024;

/** Of these the last that is not empty is what a task has said last. */
const LAST_LINES = 10;
const LAST_LINE_SHOWN = 200;

export interface LogFacts {
  /** The task's name in its execution. */
  readonly task: string;
  readonly state: string;
  readonly startedAtMs: number;
  /** Absent while it is written, and when its server ended before it did. */
  readonly endedAtMs?: number;
  readonly live: boolean;
  readonly lines: number;
  readonly sizeBytes: number;
  /** What the disk did not take. */
  readonly lostBytes: number;
  readonly groups: readonly LogGroup[];
}

/** A line, counted from 1, or from the end when it is negative; or a byte of the text. */
export type LogStart = { readonly line: number } | { readonly textOffset: number };

/** Text that stands together, whole lines where they are not very long. */
export interface NumberedText {
  /** That the text begins in. */
  readonly line: number;
  readonly bytes: Buffer;
  /** Where it ends: what follows begins there. */
  readonly textOffset: number;
  /** That begin in it. */
  readonly groups: readonly LogGroup[];
}

export interface LogWindow {
  readonly from: number;
  /** Of the whole log. */
  readonly lines: number;
  readonly live: boolean;
  readonly items: readonly { readonly text: string; readonly cut: boolean }[];
}

interface LogsLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

const aboutShape = z.object({ state: z.string(), startedAtMs: z.number() });
const endShape = z.object({ endedAtMs: z.number(), lostBytes: z.number() });
export class DiskTaskLogs implements TaskLogs {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #log: LogsLog;
  readonly #live = new Map<string, Live>();
  readonly #blocks = new BlockCache();
  readonly #onOpen: (about: TaskLogAbout) => Promise<void>;

  /** `onOpen`: told of each log before it is there. */
  constructor(
    directory: string,
    clock: Clock,
    log: LogsLog,
    onOpen: (about: TaskLogAbout) => Promise<void> = async () => undefined,
  ) {
    this.#directory = directory;
    this.#clock = clock;
    this.#log = log;
    this.#onOpen = onOpen;
  }

  async open(about: TaskLogAbout): Promise<TaskLog> {
    const { key } = about;
    const live = new Live();
    const onChange = (): void => live.changed();
    const onTrouble = (error: unknown): void =>
      this.#log.warn({ err: error, task: key }, 'a log could not be written as it should');
    this.#live.set(key, live);
    // A log that the others cannot find is better than none.
    await this.#onOpen(about).catch(onTrouble);
    try {
      const folder = this.#folder(key);
      const writer = await LogWriter.open({ folder, about, clock: this.#clock, onChange, onTrouble });
      const close = async (): Promise<void> => {
        await writer.close();
        if (this.#live.get(key) === live) this.#live.delete(key);
        onChange();
      };
      return {
        write: (bytes) => writer.write(bytes),
        group: (title) => writer.group(title),
        tail: (limitBytes) => writer.tail(limitBytes),
        close,
      };
    } catch (error) {
      this.#live.delete(key);
      throw error;
    }
  }

  /** In the order in which they began. */
  async list(execution: string): Promise<readonly LogFacts[]> {
    const names = await namesIn(this.#folder(execution));
    const facts = await Promise.all(names.map((task) => this.#facts(execution, task)));
    return facts
      .filter((one) => one !== undefined)
      .toSorted(
        (a, b) => a.startedAtMs - b.startedAtMs || a.task.localeCompare(b.task, 'en', { numeric: true }),
      );
  }

  /**
   * The text from there on. While the log is written and is to be followed, it goes on with it. The files are the
   * queue: a slow reader costs no more than a fast one.
   */
  async *follow(
    execution: string,
    task: string,
    from: LogStart,
    follow: boolean,
    signal: AbortSignal,
  ): AsyncIterable<NumberedText> {
    const reader = await this.#reader(execution, task);
    let at = 'line' in from ? await reader.offsetOf(await absolute(reader, from.line)) : from.textOffset;
    const { textBytes } = await reader.extent();
    at = Math.min(at, textBytes);
    let line = await reader.lineAt(at);
    const groups = new GroupReader(this.#folder(`${execution}/${task}`), line);
    while (!signal.aborted) {
      const live = follow ? this.#live.get(`${execution}/${task}`) : undefined;
      const version = live?.version ?? 0;
      const { bytes } = await reader.at(at);
      if (bytes.length === 0) {
        if (live === undefined) return;
        await live.after(version, signal);
        continue;
      }
      at += bytes.length;
      const end = line + newlinesIn(bytes);
      yield { line, bytes, textOffset: at, groups: await groups.upTo(end) };
      line = end;
      if (live !== undefined && bytes.length < SMALL_BYTES) {
        await this.#clock.sleep(GATHER_MS, signal).catch(() => undefined); // aborted: it ends above
      }
    }
  }

  /** Lines as they are drawn, from one on. */
  async window(execution: string, task: string, from: number, limit: number): Promise<LogWindow> {
    const reader = await this.#reader(execution, task);
    const first = await absolute(reader, from);
    const live = this.#live.has(`${execution}/${task}`);
    let at = await reader.offsetOf(first);
    const items: { text: string; cut: boolean }[] = [];
    let rest = Buffer.alloc(0);
    while (items.length < limit) {
      const { bytes } = await reader.at(at);
      if (bytes.length === 0) break;
      at += bytes.length;
      const text = Buffer.concat([rest, bytes]);
      let begin = 0;
      for (let end = text.indexOf(10); end !== -1 && items.length < limit; end = text.indexOf(10, begin)) {
        items.push(shownLine(text.subarray(begin, end)));
        begin = end + 1;
      }
      // Of a line without end only its beginning is needed here.
      rest = Buffer.from(text.subarray(begin, begin + LINE_SHOWN_BYTES + 1));
    }
    if (rest.length > 0 && items.length < limit) items.push(shownLine(rest));
    return { from: first, lines: await linesOf(reader), live, items };
  }

  /** The last line that says something, without colours; undefined: there is none here. */
  async lastLine(execution: string, task: string): Promise<string | undefined> {
    if (!(await hasLog(this.#folder(`${execution}/${task}`)))) return undefined;
    const { items } = await this.window(execution, task, -LAST_LINES, LAST_LINES);
    const said = items.map(({ text }) => stripVTControlCharacters(text).trim());
    return said.findLast((text) => text !== '')?.slice(0, LAST_LINE_SHOWN);
  }

  /** The whole of it, as it is now. */
  async *text(execution: string, task: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    for await (const { bytes } of this.follow(execution, task, { line: 1 }, false, signal)) yield bytes;
  }

  /** Those of an execution, for ever. */
  async remove(execution: string): Promise<void> {
    await rm(this.#folder(execution), { recursive: true, force: true });
  }

  /** Executions that have logs here. */
  executions(): Promise<readonly string[]> {
    return namesIn(this.#directory);
  }

  #folder(key: string): string {
    const folder = path.join(this.#directory, key);
    if (key.split('/').every((part) => /^[\w][\w.:-]*$/.test(part))) return folder;
    throw new KilnError('path.escapes', `"${key.slice(0, 80)}" does not name a log.`, {
      next: 'See which there are: kiln pipeline logs EXECUTION',
    });
  }

  async #reader(execution: string, task: string): Promise<LogReader> {
    const folder = this.#folder(`${execution}/${task}`);
    if (await hasLog(folder)) return new LogReader(folder, this.#blocks);
    throw new KilnError('not-found', `Execution ${execution} has no log "${task}" on this server.`, {
      next: 'Logs are kept by the server that ran the task; see which there are: kiln pipeline logs EXECUTION',
    });
  }

  async #facts(execution: string, task: string): Promise<LogFacts | undefined> {
    const folder = this.#folder(`${execution}/${task}`);
    if (!(await hasLog(folder))) return undefined;
    // A crash may have left either of them empty: what is not known is left out.
    const about = readShape(aboutShape, await readIfThere(logFiles.about(folder)));
    const end = readShape(endShape, await readIfThere(logFiles.end(folder)));
    const reader = new LogReader(folder, this.#blocks);
    const { textBytes } = await reader.extent();
    return {
      task,
      state: about?.state ?? '',
      startedAtMs: about?.startedAtMs ?? 0,
      ...(end && { endedAtMs: end.endedAtMs }),
      live: this.#live.has(`${execution}/${task}`),
      lines: await linesOf(reader),
      sizeBytes: textBytes,
      lostBytes: end?.lostBytes ?? 0,
      groups: groupsOf((await readIfThere(logFiles.groups(folder))) ?? ''),
    };
  }
}

async function linesOf(reader: LogReader): Promise<number> {
  const { textBytes, newlines } = await reader.extent();
  if (textBytes === 0) return 0;
  const last = await reader.at(textBytes - 1);
  return newlines + (last.bytes.at(-1) === 10 ? 0 : 1);
}

async function absolute(reader: LogReader, line: number): Promise<number> {
  return line > 0 ? line : Math.max(1, (await linesOf(reader)) + line + 1);
}

function shownLine(bytes: Buffer): { text: string; cut: boolean } {
  const end = bytes.at(-1) === 13 ? bytes.length - 1 : bytes.length;
  return {
    text: bytes.subarray(0, Math.min(end, LINE_SHOWN_BYTES)).toString(),
    cut: end > LINE_SHOWN_BYTES,
  };
}
