/** Reads a folder of advisories: a mirror of OSV's, or one's own. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isMissing, isSystemError } from '../../files/system-error.ts';
import { parseAdvisory } from './advisory.ts';
import { AdvisoryIndex } from './match.ts';

const NAMED_AT_MOST = 5;

/** Fails with `not-found` where there is no folder, `input.invalid` where a file is no advisory: none is left out. */
export async function readAdvisories(folder: string, signal: AbortSignal): Promise<AdvisoryIndex> {
  const index = new AdvisoryIndex();
  const wrong: string[] = [];
  for (const file of await jsonFiles(folder)) {
    signal.throwIfAborted();
    const advisory = parseAdvisory(await readFile(path.join(folder, file), 'utf8'));
    if (advisory === undefined) wrong.push(file);
    else index.add(advisory);
  }
  if (wrong.length === 0) return index;
  const named = wrong.slice(0, NAMED_AT_MOST);
  throw new KilnError(
    'input.invalid',
    `${wrong.length} files of ${folder} are no advisories: ${named.join(', ')}.`,
    {
      faults: named.map((file) => ({ path: file, message: 'is not an advisory in the format of OSV' })),
      next: 'Keep only advisories in the format of OSV in that folder.',
    },
  );
}

async function jsonFiles(folder: string): Promise<string[]> {
  try {
    const files = await readdir(folder, { recursive: true });
    return files.filter((file) => file.endsWith('.json')).sort();
  } catch (error) {
    if (!isMissing(error) && !isSystemError(error, 'EACCES')) throw error;
    throw new KilnError('not-found', `The folder of advisories ${folder} cannot be read.`, {
      cause: error,
      next: 'Give a folder on the server’s machine that holds advisories in the format of OSV.',
    });
  }
}
