/**
 * Takes one layer apart into a folder. Runs in worker threads. What it writes stays in that folder: every path is
 * checked, files are made fresh and never through a link, and symlinks are handed back, to be made when all
 * layers are out. The layer's digest is taken from the same bytes that are written.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs';
import { KilnError } from '../../domain/errors.ts';
import { type PlacedEntry, tarEntries } from '../tar/tar-reader.ts';
import type { StopFlag, UnpackResult, UnpackTask } from './tasks.ts';

const WRITE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export function extract(task: UnpackTask, buffer: Buffer, stop: StopFlag): UnpackResult {
  const archive = new HashedFile(task.archive, buffer);
  try {
    const result = extractEntries(archive, task, stop);
    if (archive.digest() !== task.expectedHash) throw damaged(task, 'its digest is another one');
    return result;
  } finally {
    archive.close();
  }
}

function extractEntries(archive: HashedFile, task: UnpackTask, stop: StopFlag): UnpackResult {
  const folders = new FolderMaker(task.destination);
  const symlinks: (readonly [string, string])[] = [];
  let files = 0;
  for (const entry of tarEntries((offset, length) => archive.view(offset, length), archive.sizeBytes)) {
    if (Atomics.load(stop, 0) !== 0) throw new KilnError('aborted', 'The unpacking was cancelled.');
    const path = innerPath(entry, task);
    if (path === undefined) continue;
    if (entry.kind === 'symlink') {
      symlinks.push([path, entry.link]);
    } else if (entry.kind === 'directory') {
      folders.make(path);
    } else {
      folders.makeParent(path);
      writeFile(archive, entry, path, task);
      files += 1;
    }
  }
  return { symlinks, folders: folders.made(), files };
}

/** Relative to the destination; undefined: outside what is asked for. */
function innerPath(entry: PlacedEntry, task: UnpackTask): string | undefined {
  const segments = entry.path.replace(/^\.\//, '').split('/');
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw damaged(task, `the path "${entry.path}" could lead out of the image`);
  }
  if (task.strip === '') return segments.join('/');
  if (segments[0] !== task.strip || segments.length === 1) return undefined;
  return segments.slice(1).join('/');
}

function writeFile(archive: HashedFile, entry: PlacedEntry, path: string, task: UnpackTask): void {
  const executable = (entry.mode & 0o100) !== 0;
  const mode = (executable ? 0o755 : 0o644) & (task.readOnly ? 0o555 : 0o777);
  const fd = openSync(`${task.destination}/${path}`, WRITE_FLAGS, mode);
  try {
    if ((mode & process.umask()) !== 0) fchmodSync(fd, mode);
    for (let done = 0; done < entry.sizeBytes; ) {
      const bytes = Math.min(archive.windowBytes, entry.sizeBytes - done);
      const view = archive.view(entry.offsetBytes + done, bytes);
      for (let at = 0; at < bytes; ) at += writeSync(fd, view, at, bytes - at);
      done += bytes;
    }
  } finally {
    closeSync(fd);
  }
}

/** Makes each folder once. */
class FolderMaker {
  readonly #destination: string;
  readonly #made = new Set<string>(['']);

  constructor(destination: string) {
    this.#destination = destination;
  }

  made(): string[] {
    return [...this.#made].filter((path) => path !== '');
  }

  makeParent(path: string): void {
    const slash = path.lastIndexOf('/');
    if (slash !== -1) this.make(path.slice(0, slash));
  }

  make(path: string): void {
    if (this.#made.has(path)) return;
    this.makeParent(path);
    try {
      mkdirSync(`${this.#destination}/${path}`, 0o755);
    } catch (error) {
      // Another worker may have made it for its own layer; nobody makes links here meanwhile.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    this.#made.add(path);
  }
}

/** A file that is read forwards through a window, and hashed as the window moves. */
class HashedFile {
  readonly sizeBytes: number;
  readonly #fd: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #window: Buffer;
  #start = 0;
  #length = 0;

  constructor(file: string, window: Buffer) {
    this.#window = window;
    this.#fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    this.sizeBytes = fstatSync(this.#fd).size;
  }

  get windowBytes(): number {
    return this.#window.length;
  }

  /** Valid until the next call; `offset` never goes back. */
  view(offset: number, length: number): Buffer {
    while (offset + length > this.#start + this.#length) this.#advance(offset);
    return this.#window.subarray(offset - this.#start, offset - this.#start + length);
  }

  digest(): string {
    while (this.#start + this.#length < this.sizeBytes) this.#advance(this.#start + this.#length);
    return this.#hash.digest('hex');
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** Keeps what stands from `offset` on and fills up behind it, so every byte passes through exactly once. */
  #advance(offset: number): void {
    const end = this.#start + this.#length;
    const kept = Math.max(0, end - offset);
    const skipTo = Math.min(offset, end);
    this.#window.copyWithin(0, skipTo - this.#start, this.#length);
    this.#start = skipTo;
    this.#length = kept;
    const read = readSync(this.#fd, this.#window, kept, this.#window.length - kept, end);
    if (read === 0) throw new KilnError('blob.damaged', 'A layer ended too early.', { next: 'Bake again.' });
    this.#hash.update(this.#window.subarray(kept, kept + read));
    this.#length += read;
  }
}

function damaged(task: UnpackTask, why: string): KilnError {
  return new KilnError('blob.damaged', `The layer sha256:${task.expectedHash} is damaged: ${why}.`, {
    next: 'Remove the blob and bake the image again.',
    details: { digest: `sha256:${task.expectedHash}` },
  });
}
