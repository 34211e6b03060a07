/** Small files that Kiln keeps: each is replaced as a whole, so that after a crash it is the old one or the new one. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { isMissing } from './system-error.ts';

const DRAFT = '.new';
/** A file that is being written: a crash may leave one, and it means nothing. */
const DRAFT_NAME = /\.[0-9a-f]{8}\.new$/;

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Durable when it returns. Two writers of one file do not disturb each other: the last to end wins. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const directory = path.dirname(file);
  const draft = `${file}.${randomBytes(4).toString('hex')}${DRAFT}`;
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  try {
    await writeSynced(draft, text);
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/**
 * Removes what a crash of `replaceFile` has left in the directory. Where another process may be writing there, only
 * what is older than it could ever be under way; a draft that is taken away makes its writer fail.
 */
export async function removeDrafts(directory: string, olderThanMs = 0): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!DRAFT_NAME.test(name)) continue;
    const file = path.join(directory, name);
    const isOld = olderThanMs === 0 || Date.now() - (await stat(file)).mtimeMs > olderThanMs;
    if (isOld) await rm(file, { force: true });
  }
}

/** Durable when it returns; a file that is not there is none to remove. */
export async function removeFile(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (!isMissing(error)) throw error;
    return;
  }
  await syncDirectory(path.dirname(file));
}

/** Undefined when there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Undefined when there is no such file. For what is read once, at the start. */
export function readIfThereSync(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', FILE_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
