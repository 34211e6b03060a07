/** Small files that Kiln keeps: each is replaced as a whole, so that after a crash it is the old one or the new one. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, unlink } from 'node:fs/promises';
import path from 'node:path';
import { isMissing } from './system-error.ts';

/** Ending of a file that is being written: a crash may leave one, and it means nothing. */
export const DRAFT = '.new';

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
