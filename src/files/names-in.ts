import { readdir } from 'node:fs/promises';
import { isMissing } from './system-error.ts';

/** What is in a folder, in no order; a folder that is not there holds nothing. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
