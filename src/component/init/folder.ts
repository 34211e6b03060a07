/** What detectors may look at: names at the top of a folder, a few below, and the text of known files. */
import type { Dirent } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isSystemError } from '../../files/system-error.ts';

export interface Folder {
  readonly name: string;
  /** Relative paths of files and folders, at most two levels deep; folders end with "/". */
  readonly entries: ReadonlySet<string>;
  /** Texts of small files at the top, by name. */
  readonly texts: ReadonlyMap<string, string>;
}

const TEXT_LIMIT_BYTES = 512 * 1024;
const ENTRIES_LIMIT = 5000;
/** Never of interest, and often huge. */
const PASSED_OVER = new Set([
  '.git',
  'node_modules',
  'vendor',
  '.venv',
  'venv',
  'site-packages',
  '__pycache__',
]);
const READ =
  /^(?:package\.json|Gemfile(?:\.lock)?|requirements\.txt|pyproject\.toml|go\.mod|Procfile|Dockerfile|manage\.py|[\w-]+\.py|[\w-]+\.go)$/;

export async function readFolder(directory: string): Promise<Folder> {
  const entries = new Set<string>();
  const texts = new Map<string, string>();
  const resolved = path.resolve(directory);
  for (const entry of await list(resolved)) {
    if (entry.isDirectory()) {
      entries.add(`${entry.name}/`);
      if (!PASSED_OVER.has(entry.name)) await addBelow(resolved, entry.name, entries);
    } else if (entry.isFile()) {
      entries.add(entry.name);
      if (READ.test(entry.name)) texts.set(entry.name, await readStart(path.join(resolved, entry.name)));
    }
  }
  return { name: path.basename(resolved), entries, texts };
}

async function addBelow(root: string, name: string, entries: Set<string>): Promise<void> {
  for (const entry of await list(path.join(root, name))) {
    if (entries.size >= ENTRIES_LIMIT) return;
    entries.add(`${name}/${entry.name}${entry.isDirectory() ? '/' : ''}`);
  }
}

async function list(directory: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
    throw new KilnError('input.invalid', `${directory} is not a folder that can be read.`, {
      next: "Name the component's folder.",
      cause: error,
    });
  }
}

async function readStart(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(TEXT_LIMIT_BYTES), 0, TEXT_LIMIT_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
