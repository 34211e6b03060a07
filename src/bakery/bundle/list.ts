/** Says what a layer holds, from its headers alone. Runs in worker threads. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { KilnError } from '../../domain/errors.ts';
import { tarEntries } from '../tar/tar-reader.ts';
import { KINDS, type ListResult, type ListTask } from './tasks.ts';

export function list(task: ListTask): ListResult {
  const fd = openSync(task.archive, 'r');
  try {
    const readAt = (offset: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      if (readSync(fd, bytes, 0, length, offset) < length) {
        throw new KilnError('blob.damaged', 'A layer ended too early.', { next: 'Bake the image again.' });
      }
      return bytes;
    };
    const paths: string[] = [];
    const numbers: number[] = [];
    const links: string[] = [];
    for (const entry of tarEntries(readAt, fstatSync(fd).size)) {
      paths.push(entry.path);
      numbers.push(KINDS.indexOf(entry.kind), entry.mode, entry.sizeBytes, entry.offsetBytes);
      links.push(entry.link);
    }
    return { paths: paths.join('\0'), numbers: Float64Array.from(numbers), links: links.join('\0') };
  } finally {
    closeSync(fd);
  }
}
