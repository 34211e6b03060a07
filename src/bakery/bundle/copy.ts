/** Copies a tree for a build, which may change its files in place; so these are never links to anybody's. */
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
import { assertUnchanged, openContent, type PackItem, packItems } from './pack.ts';
import type { CopyTask, StopFlag } from './tasks.ts';

export function copy(task: CopyTask, buffer: Buffer, stop: StopFlag): { files: number } {
  const made = new Set<string>(['']);
  let files = 0;
  for (const item of packItems(task.columns, stop)) {
    const folder =
      item.kind === 'directory' ? item.name : item.name.slice(0, Math.max(0, item.name.lastIndexOf('/')));
    if (!made.has(folder)) {
      mkdirSync(`${task.destination}/${folder}`, { recursive: true, mode: 0o755 });
      made.add(folder);
    }
    if (item.kind === 'symlink') symlinkSync(item.link, `${task.destination}/${item.name}`);
    if (item.kind === 'file') {
      copyContent(item, `${task.destination}/${item.name}`, buffer);
      files += 1;
    }
  }
  return { files };
}

function copyContent(item: PackItem, destination: string, piece: Buffer): void {
  const from = openContent(item);
  try {
    const to = openSync(destination, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, item.mode);
    try {
      if ((item.mode & process.umask()) !== 0) fchmodSync(to, item.mode);
      const start = Math.max(item.offsetBytes, 0);
      for (let done = 0; done < item.sizeBytes; ) {
        const read = readSync(from, piece, 0, Math.min(piece.length, item.sizeBytes - done), start + done);
        if (read === 0) break;
        for (let at = 0; at < read; ) at += writeSync(to, piece, at, read - at);
        done += read;
      }
    } finally {
      closeSync(to);
    }
    if (item.offsetBytes === -1) assertUnchanged(from, item);
  } finally {
    closeSync(from);
  }
}
