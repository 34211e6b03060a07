import { existsSync } from 'node:fs';
import path from 'node:path';

/** The first of this name on the search path; undefined: it is not installed. */
export function findProgram(name: string, searchPath: string): string | undefined {
  const candidates = searchPath.split(path.delimiter).map((folder) => path.join(folder, name));
  return candidates.find((file) => path.isAbsolute(file) && existsSync(file));
}
