import { mkdir, open, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import type { InstanceId, ServerGroupName, ServiceKey } from '../domain/ids.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { LogLine, LogQuery } from '../domain/ports/target.ts';
import { namesIn } from '../files/names-in.ts';
import { isMissing } from '../files/system-error.ts';
import { groupOf } from './instance-name.ts';
import { logStart } from './log-rotation.ts';
import { removeTree } from './unpacked-images.ts';

/** Ended instances of a service whose output is kept, newest first. */
const KEPT_PER_SERVICE = 10;
const CHUNK_BYTES = 64 * 1024;
/** A longer line is given in pieces: memory stays bounded whatever an app writes. */
const LONGEST_LINE_BYTES = 64 * 1024;
/** How far back a tail looks in one file. */
const TAIL_BYTES = 4 * 1024 * 1024;
const FOLLOW_MS = 150;
const NEWLINE = 10;
const LOG = 'out.log';

/** Where a target keeps them. */
export interface LogsLayout {
  readonly instances: string;
  readonly logs: string;
  instance(id: InstanceId): { readonly directory: string; readonly log: string };
  keptLogs(service: ServiceKey): string;
}

interface LogSource {
  readonly instance: InstanceId;
  readonly file: string;
}

/** Output of instances, of those that run and of those whose output was kept when they ended. */
export class LogFiles {
  readonly #layout: LogsLayout;
  readonly #clock: Clock;

  constructor(layout: LogsLayout, clock: Clock) {
    this.#layout = layout;
    this.#clock = clock;
  }

  async tail(instance: InstanceId, lines: number): Promise<readonly string[]> {
    const file = this.#layout.instance(instance).log;
    const texts: string[] = [];
    const reader = await openAtTail({ instance, file }, lines);
    for await (const line of reader.read(true)) texts.push(line.text);
    return texts;
  }

  /** Tail of each instance, one after the other, then whatever comes, in the order in which it is seen. */
  async *read(
    groups: readonly ServerGroupName[],
    query: LogQuery,
    signal: AbortSignal,
  ): AsyncGenerator<LogLine> {
    const wanted = new Set(groups);
    const readers = new Map<InstanceId, LogReader>();
    let first = true;
    while (!signal.aborted) {
      const sources = await this.#sources(wanted);
      for (const source of sources) {
        const known = readers.get(source.instance);
        known?.moveTo(source.file);
        // One that appears while following is new: all that it wrote is wanted.
        const isNew = known === undefined && !first;
        const reader =
          known ?? (isNew ? new LogReader(source, 0) : await this.#openAtTail(source, wanted, query.tail));
        readers.set(source.instance, reader);
        yield* reader.read(!query.follow);
        // Moved while it was read: the rest is where it is now.
        if (reader.moveTo((await this.#present(source, wanted)).file)) yield* reader.read(!query.follow);
      }
      if (!query.follow) return;
      first = false;
      const there = new Set(sources.map((source) => source.instance));
      for (const id of readers.keys()) if (!there.has(id)) readers.delete(id);
      await this.#pause(signal);
    }
  }

  /** Moves the output of an ended instance to where the recent ones are kept. */
  async keep(instance: InstanceId, service: ServiceKey): Promise<void> {
    const from = this.#layout.instance(instance);
    if ((await sizeOf(from.log)) > 0) {
      const to = path.join(this.#layout.keptLogs(service), instance);
      await mkdir(to, { recursive: true, mode: 0o700 });
      for (const name of [`${LOG}.1`, `${LOG}.start`, LOG]) {
        await renameIfThere(path.join(from.directory, name), path.join(to, name));
      }
    }
    await this.#forgetOld(this.#layout.keptLogs(service));
  }

  async #forgetOld(directory: string): Promise<void> {
    const folders = (await namesIn(directory)).map((name) => path.join(directory, name));
    const kept = await Promise.all(
      folders.map(async (folder) => ({ folder, atMs: await changedAtMs(folder) })),
    );
    kept.sort((a, b) => b.atMs - a.atMs);
    for (const { folder } of kept.slice(KEPT_PER_SERVICE)) await removeTree(folder);
  }

  async #sources(groups: ReadonlySet<ServerGroupName>): Promise<readonly LogSource[]> {
    // First those that may be moved to where the others are looked for next: none is in neither list.
    const running = await sourcesIn(this.#layout.instances, groups);
    const kept: LogSource[] = [];
    for (const name of await namesIn(this.#layout.logs)) {
      kept.push(...(await sourcesIn(path.join(this.#layout.logs, name), groups)));
    }
    const moved = new Set(kept.map(({ instance }) => instance));
    return [...kept, ...running.filter(({ instance }) => !moved.has(instance))];
  }

  async #openAtTail(
    listed: LogSource,
    groups: ReadonlySet<ServerGroupName>,
    lines: number,
  ): Promise<LogReader> {
    const reader = await openAtTail(listed, lines);
    const source = await this.#present(listed, groups);
    // It is moved once in its life.
    return source.file === listed.file ? reader : openAtTail(source, lines);
  }

  /** Where it is now: its instance may have ended since it was listed. */
  async #present(listed: LogSource, groups: ReadonlySet<ServerGroupName>): Promise<LogSource> {
    if (await isThere(listed.file)) return listed;
    const sources = await this.#sources(groups);
    return sources.find(({ instance }) => instance === listed.instance) ?? listed;
  }

  async #pause(signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(FOLLOW_MS, signal);
    } catch (error) {
      if (!signal.aborted) throw error; // Being told to stop is how following ends.
    }
  }
}

async function sourcesIn(
  directory: string,
  groups: ReadonlySet<ServerGroupName>,
): Promise<readonly LogSource[]> {
  const found: LogSource[] = [];
  for (const name of [...(await namesIn(directory))].sort()) {
    const group = groupOf(name);
    if (group === undefined || !groups.has(group)) continue;
    // What ended with `groupOf` is the name of an instance.
    found.push({ instance: name as InstanceId, file: path.join(directory, name, LOG) });
  }
  return found;
}

/** Reads whole lines from a position on. Bytes are split at line ends, so no character is ever cut. */
class LogReader {
  readonly #instance: InstanceId;
  #file: string;
  #offset: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: LogSource, offset: number) {
    this.#instance = source.instance;
    this.#file = source.file;
    this.#offset = offset;
  }

  /** The same file may have been moved when its instance ended. False: it is where it was. */
  moveTo(file: string): boolean {
    const isElsewhere = file !== this.#file;
    this.#file = file;
    return isElsewhere;
  }

  async *read(toTheEnd: boolean): AsyncGenerator<LogLine> {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    // It is somewhere else by now, and is read there from where this reader is.
    if (!(await isThere(this.#file))) return;
    const start = await logStart(this.#file);
    const size = await sizeOf(this.#file);
    if (size < this.#offset) this.#offset = 0; // Emptied by a rotation that could do no better.
    if (this.#offset < start) this.#offset = start;
    while (this.#offset < size) {
      const count = await readAt(this.#file, buffer, this.#offset);
      if (count === 0) break;
      this.#offset += count;
      yield* this.#split(buffer.subarray(0, count));
    }
    if (toTheEnd && this.#rest.length > 0) {
      yield this.#line(this.#rest);
      this.#rest = Buffer.alloc(0);
    }
  }

  *#split(chunk: Buffer): Generator<LogLine> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      yield this.#line(bytes.subarray(from, at));
      from = at + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(from));
    if (this.#rest.length > LONGEST_LINE_BYTES) {
      const cut = characterBoundary(this.#rest, LONGEST_LINE_BYTES);
      yield this.#line(this.#rest.subarray(0, cut));
      this.#rest = Buffer.from(this.#rest.subarray(cut));
    }
  }

  #line(bytes: Buffer): LogLine {
    return { instance: this.#instance, text: bytes.toString('utf8').replace(/\r$/, '') };
  }
}

async function openAtTail(source: LogSource, lines: number): Promise<LogReader> {
  const size = await sizeOf(source.file);
  const start = Math.max(await logStart(source.file), size - TAIL_BYTES);
  return new LogReader(source, await tailOffset(source.file, start, size, lines));
}

/** Where the last `lines` lines begin, searched from the end. */
async function tailOffset(file: string, start: number, size: number, lines: number): Promise<number> {
  if (lines <= 0) return size;
  const buffer = Buffer.alloc(CHUNK_BYTES);
  let wanted = lines;
  for (let end = size; end > start; ) {
    const from = Math.max(start, end - CHUNK_BYTES);
    const count = await readAt(file, buffer.subarray(0, end - from), from);
    for (let at = count - 1; at >= 0; at -= 1) {
      const isLineEnd = buffer[at] === NEWLINE && from + at + 1 < size;
      if (isLineEnd && --wanted === 0) return from + at + 1;
    }
    end = from;
  }
  return start;
}

/** The last place at or before `limit` where a character of UTF-8 begins. */
function characterBoundary(bytes: Buffer, limit: number): number {
  let at = limit;
  while (at > limit - 4 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}

async function readAt(file: string, buffer: Buffer, offset: number): Promise<number> {
  try {
    const handle = await open(file, 'r');
    try {
      return (await handle.read(buffer, 0, buffer.length, offset)).bytesRead;
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isMissing(error)) return 0; // Moved or forgotten meanwhile; the next look finds where it is.
    throw error;
  }
}

/** Long ago when it is gone: instances that end together clear away the same old ones. */
async function changedAtMs(place: string): Promise<number> {
  try {
    return (await stat(place)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

async function isThere(file: string): Promise<boolean> {
  return (await changedAtMs(file)) > 0;
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}
