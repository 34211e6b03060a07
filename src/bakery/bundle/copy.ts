/** Copies a tree for a build, which may change its files in place; so these are never links to anybody's. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  mkdirSync,
  openSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { KilnError } from '../../domain/errors.ts';
import { assertUnchanged, openContent, type PackItem, packItems } from './pack.ts';
import type { CopyTask, StopFlag } from './tasks.ts';

export function copy(task: CopyTask, buffer: Buffer, stop: StopFlag): { files: number } {
  const made = new Set<string>(['']);
  const hashes = task.contentHashes.split(' ');
  let files = 0;
  let index = 0;
  for (const item of packItems(task.columns, stop)) {
    const folder =
      item.kind === 'directory' ? item.name : item.name.slice(0, Math.max(0, item.name.lastIndexOf('/')));
    if (!made.has(folder)) {
      mkdirSync(`${task.destination}/${folder}`, { recursive: true, mode: 0o755 });
      made.add(folder);
    }
    const expected = hashes[index++] ?? '';
    if (item.kind === 'symlink') symlinkSync(item.link, `${task.destination}/${item.name}`);
    if (item.kind === 'file') {
      if (copyContent(item, `${task.destination}/${item.name}`, buffer) !== expected)
        throw otherContent(item);
      files += 1;
    }
  }
  return { files };
}

/** Returns the hash of what it has copied. */
function copyContent(item: PackItem, destination: string, piece: Buffer): string {
  const digest = createHash('sha256');
  const from = openContent(item);
  try {
    const to = openSync(destination, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, item.mode);
    try {
      if ((item.mode & process.umask()) !== 0) fchmodSync(to, item.mode);
      const start = Math.max(item.offsetBytes, 0);
      for (let done = 0; done < item.sizeBytes; ) {
        const read = readSync(from, piece, 0, Math.min(piece.length, item.sizeBytes - done), start + done);
        if (read === 0) break;
        digest.update(piece.subarray(0, read));
        for (let at = 0; at < read; ) at += writeSync(to, piece, at, read - at);
        done += read;
      }
    } finally {
      closeSync(to);
    }
    if (item.offsetBytes === -1) assertUnchanged(from, item);
    return digest.digest('hex');
  } finally {
    closeSync(from);
  }
}

function otherContent(item: PackItem): KilnError {
  if (item.offsetBytes === -1) {
    return new KilnError('source.changed', `"${item.name}" changed while it was copied for the build.`, {
      next: 'Bake again when nothing writes to the source.',
      retryable: true,
    });
  }
  return new KilnError(
    'blob.damaged',
    `The layer ${item.file} does not hold "${item.name}" as it was made.`,
    {
      next: 'Check the disk, remove that file and bake again: what it held is then made anew.',
    },
  );
}
