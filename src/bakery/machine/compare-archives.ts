/** What two archives of root filesystems hold differently. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { BuildDifference } from '../../domain/ports/builder.ts';
import { tarEntries } from '../tar/tar-reader.ts';

const PIECE_BYTES = 1 << 20;

export function compareArchives(before: string, after: string): readonly BuildDifference[] {
  const old = linesOf(before);
  const differences: BuildDifference[] = [];
  for (const [path, line] of linesOf(after)) {
    const was = old.get(path);
    old.delete(path);
    if (was === undefined) differences.push({ path, change: 'added' });
    else if (was.content !== line.content) differences.push({ path, change: 'content' });
    else if (was.mode !== line.mode) differences.push({ path, change: 'mode' });
  }
  for (const path of old.keys()) differences.push({ path, change: 'removed' });
  return differences.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function linesOf(archive: string): Map<string, { content: string; mode: number }> {
  const lines = new Map<string, { content: string; mode: number }>();
  const file = openSync(archive, 'r');
  try {
    const readAt = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      readSync(file, bytes, 0, length, offset);
      return bytes;
    };
    for (const entry of tarEntries(readAt, statSync(archive).size, { anyType: true })) {
      const hash = createHash('sha256').update(`${entry.kind} ${entry.link}`);
      for (let at = 0; at < entry.sizeBytes; at += PIECE_BYTES) {
        hash.update(readAt(entry.offsetBytes + at, Math.min(PIECE_BYTES, entry.sizeBytes - at)));
      }
      lines.set(entry.path.replace(/^\.\//, ''), { content: hash.digest('hex'), mode: entry.mode });
    }
  } finally {
    closeSync(file);
  }
  return lines;
}
