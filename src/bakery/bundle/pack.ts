/**
 * Reads files once: hashes each, and when asked puts them into a tar archive whose own hash is taken on the way.
 * Runs in worker threads. The archive is put together in a large buffer and written a few megabytes at a time,
 * so that a small file costs an open, a read, a stat and a close, and nothing else.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import { closeSync, constants, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { KilnError } from '../../domain/errors.ts';
import { paddedBytes, type TarKind, TRAILER_BYTES, tarHeader } from '../tar/tar-header.ts';
import {
  KINDS,
  PACK_STRIDE,
  type PackColumns,
  type PackResult,
  type PackTask,
  type StopFlag,
} from './tasks.ts';

/** The buffer is the worker's own, used by one task after the other. */
export const BUFFER_BYTES = 4 * 1024 * 1024;
const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** One file of a pack task, out of its columns. */
export interface PackItem {
  readonly name: string;
  readonly kind: TarKind;
  readonly mode: number;
  readonly sizeBytes: number;
  /** -1: the whole file is the content, and must look as it did when scanned. */
  readonly offsetBytes: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly inode: number;
  readonly device: number;
  readonly file: string;
  readonly link: string;
}

export function* packItems(columns: PackColumns, stop: StopFlag): Generator<PackItem> {
  if (columns.numbers.length === 0) return;
  const names = columns.names.split('\0');
  const files = columns.files.split('\0');
  const links = columns.links.split('\0');
  const numbers = columns.numbers;
  for (const [index, name] of names.entries()) {
    if (Atomics.load(stop, 0) !== 0) throw new KilnError('aborted', 'The packing was cancelled.');
    const at = index * PACK_STRIDE;
    yield {
      name,
      kind: KINDS[numbers[at] ?? 0] ?? 'file',
      mode: numbers[at + 1] ?? 0,
      sizeBytes: numbers[at + 2] ?? 0,
      offsetBytes: numbers[at + 3] ?? 0,
      mtimeMs: numbers[at + 4] ?? 0,
      ctimeMs: numbers[at + 5] ?? 0,
      inode: numbers[at + 6] ?? 0,
      device: numbers[at + 7] ?? 0,
      file: files[index] ?? '',
      link: links[index] ?? '',
    };
  }
}

export function pack(task: PackTask, buffer: Buffer, stop: StopFlag): PackResult {
  const archive = task.output === undefined ? new Discarded(buffer) : new Archive(task.output, buffer);
  try {
    const hashes: string[] = [];
    for (const item of packItems(task.columns, stop)) {
      archive.header(item);
      hashes.push(item.kind === 'file' ? readContent(item, archive) : '');
      archive.pad(item.sizeBytes);
    }
    const { archiveHash, archiveBytes } = archive.finish();
    return {
      archiveHash,
      archiveBytes,
      contentHashes: hashes.join(' '),
    };
  } finally {
    archive.close();
  }
}

/** Where contents go, through a buffer that it owns. */
interface Sink {
  readonly buffer: Buffer;
  header(item: PackItem): void;
  /** Room for at least `wanted` bytes, or for a whole buffer; returns where to put them. */
  room(wanted: number): number;
  taken(bytes: number): void;
  pad(sizeBytes: number): void;
  finish(): { archiveHash: string; archiveBytes: number };
  close(): void;
}

class Archive implements Sink {
  readonly buffer: Buffer;
  readonly #hash: Hash = createHash('sha256');
  #fd: number;
  #used = 0;
  #written = 0;

  constructor(output: string, buffer: Buffer) {
    this.buffer = buffer;
    this.#fd = openSync(output, 'wx', 0o600);
  }

  header(item: PackItem): void {
    const block = tarHeader({ ...item, path: item.name });
    if (this.#used + block.length > this.buffer.length) this.#flush();
    if (block.length > this.buffer.length)
      throw new KilnError('input.invalid', 'A file name is far too long.');
    block.copy(this.buffer, this.#used);
    this.#used += block.length;
  }

  room(wanted: number): number {
    if (wanted > this.buffer.length - this.#used) this.#flush();
    return this.#used;
  }

  taken(bytes: number): void {
    this.#used += bytes;
  }

  pad(sizeBytes: number): void {
    this.#zeros(paddedBytes(sizeBytes) - sizeBytes);
  }

  finish(): { archiveHash: string; archiveBytes: number } {
    this.#zeros(TRAILER_BYTES);
    this.#flush();
    fdatasyncSync(this.#fd);
    return { archiveHash: this.#hash.digest('hex'), archiveBytes: this.#written };
  }

  close(): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }

  #zeros(count: number): void {
    if (this.#used + count > this.buffer.length) this.#flush();
    this.buffer.fill(0, this.#used, this.#used + count);
    this.#used += count;
  }

  #flush(): void {
    const filled = this.buffer.subarray(0, this.#used);
    this.#hash.update(filled);
    for (let at = 0; at < filled.length; ) at += writeSync(this.#fd, filled, at, filled.length - at);
    this.#written += filled.length;
    this.#used = 0;
  }
}

/** Only the contents' hashes are wanted. */
class Discarded implements Sink {
  readonly buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  header(): void {}
  room(): number {
    return 0;
  }
  taken(): void {}
  pad(): void {}
  finish(): { archiveHash: string; archiveBytes: number } {
    return { archiveHash: '', archiveBytes: 0 };
  }
  close(): void {}
}

/** Returns the hash of the content; fails with `source.changed` when the file is not what was scanned. */
function readContent(item: PackItem, sink: Sink): string {
  const fd = openContent(item);
  try {
    const contentHash =
      item.sizeBytes <= sink.buffer.length ? readWhole(fd, item, sink) : readInPieces(fd, item, sink);
    if (item.offsetBytes === -1) assertUnchanged(fd, item);
    return contentHash;
  } finally {
    closeSync(fd);
  }
}

function readWhole(fd: number, item: PackItem, sink: Sink): string {
  const start = sink.room(item.sizeBytes);
  readFully(fd, sink.buffer, start, item.sizeBytes, Math.max(item.offsetBytes, 0), item);
  const contentHash = hash('sha256', sink.buffer.subarray(start, start + item.sizeBytes), 'hex');
  sink.taken(item.sizeBytes);
  return contentHash;
}

function readInPieces(fd: number, item: PackItem, sink: Sink): string {
  const digest = createHash('sha256');
  for (let done = 0; done < item.sizeBytes; ) {
    const bytes = Math.min(sink.buffer.length, item.sizeBytes - done);
    const start = sink.room(bytes);
    readFully(fd, sink.buffer, start, bytes, Math.max(item.offsetBytes, 0) + done, item);
    digest.update(sink.buffer.subarray(start, start + bytes));
    sink.taken(bytes);
    done += bytes;
  }
  return digest.digest('hex');
}

function readFully(
  fd: number,
  buffer: Buffer,
  start: number,
  bytes: number,
  position: number,
  item: PackItem,
): void {
  for (let done = 0; done < bytes; ) {
    const read = readSync(fd, buffer, start + done, bytes - done, position + done);
    if (read === 0) throw changed(item);
    done += read;
  }
}

export function openContent(item: PackItem): number {
  try {
    return openSync(item.file, READ_FLAGS);
  } catch (error) {
    const systemCode = error instanceof Error && 'code' in error ? error.code : undefined;
    if (systemCode === 'ENOENT' || systemCode === 'ELOOP' || systemCode === 'ENOTDIR') throw changed(item);
    if (systemCode === 'EACCES') {
      throw new KilnError('input.invalid', `The file "${item.name}" cannot be read.`, {
        cause: error,
        next: 'Give this user the right to read it, or exclude it under image.exclude in kiln.yaml.',
      });
    }
    throw error;
  }
}

export function assertUnchanged(fd: number, item: PackItem): void {
  const now = fstatSync(fd);
  if (
    now.size !== item.sizeBytes ||
    now.ctimeMs !== item.ctimeMs ||
    now.mtimeMs !== item.mtimeMs ||
    now.ino !== item.inode ||
    now.dev !== item.device
  ) {
    throw changed(item);
  }
}

function changed(item: PackItem): KilnError {
  return new KilnError('source.changed', `"${item.name}" changed while it was being packed.`, {
    next: 'Bake again when nothing writes to the source.',
    retryable: true,
  });
}
