/** A lock of the operating system's, held through SQLite, so that it ends with its process, `kill -9` included. */
import { DatabaseSync } from 'node:sqlite';
import { KilnError } from '../domain/errors.ts';

export interface ProcessLock {
  close(): void;
}

/** Undefined: another process has it. Fails with `store.damaged` for a file that is no lock. */
export function takeProcessLock(file: string): ProcessLock | undefined {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
    return database;
  } catch (error) {
    database.close();
    const why = error instanceof Error ? error.message : String(error);
    if (/locked|busy/i.test(why)) return undefined;
    throw new KilnError('store.damaged', `${file} cannot be locked: ${why}.`, {
      next: 'See that nobody works the directory, then remove the file: it holds no data.',
      cause: error,
    });
  }
}
