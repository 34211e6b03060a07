/** The end of an unpacking: symlinks, which must come last, and folders that nobody can write to. */
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import type { SealTask } from './tasks.ts';

const READ_ONLY_FOLDER = 0o555;

export function seal(task: SealTask): { folders: number } {
  const folders = new Set<string>(['', ...task.folders]);
  for (const [link] of task.symlinks) {
    for (
      let folder = path.dirname(link);
      folder !== '.' && !folders.has(folder);
      folder = path.dirname(folder)
    ) {
      folders.add(folder);
    }
    mkdirSync(path.join(task.root, path.dirname(link)), { recursive: true, mode: 0o755 });
  }
  for (const [link, target] of task.symlinks) symlinkSync(target, path.join(task.root, link));
  for (const folder of folders) chmodSync(path.join(task.root, folder), READ_ONLY_FOLDER);
  return { folders: folders.size };
}
