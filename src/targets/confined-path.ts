import path from 'node:path';
import { KilnError } from '../domain/errors.ts';

/** Fails with `path.escapes` on what is not a path inside the app's folder. */
export function confine(relative: string): void {
  const normal = path.posix.normalize(relative);
  if (!path.isAbsolute(relative) && normal !== '.' && normal !== '..' && !normal.startsWith('../')) return;
  throw new KilnError('path.escapes', `${relative} is not a path inside the app's folder.`, {
    next: 'Use a path relative to the app, without "..".',
  });
}
