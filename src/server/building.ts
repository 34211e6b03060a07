/** What every part of the server is built from, and how it is closed again. */
import type { Logger } from 'pino';
import type { Router } from '../domain/ports/router.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Target } from '../domain/ports/target.ts';
import type { Settings } from '../settings.ts';
import type { StateDirectory } from './state-directory.ts';

/** This machine's, in the words of artifacts. */
export const ARCH = process.arch === 'x64' ? 'amd64' : process.arch;

/** Entry files of the processes and threads that the server starts, and what tells one build from another. */
export interface Entries {
  readonly node: string;
  readonly router: string;
  readonly baker: string;
  readonly bakeWorker: string;
  readonly storeReader: string;
  readonly itemThread: string;
  /** Folder of the built page. */
  readonly page: string;
  readonly version: string;
  readonly build: string;
}

/** Lets a caller put something around the parts that act on the outside, such as a fault test that counts acts. */
export interface Surroundings {
  readonly store?: (store: Store) => Store;
  readonly target?: (target: Target) => Target;
  readonly router?: (router: Router) => Router;
}

export interface Building {
  readonly settings: Settings;
  readonly entries: Entries;
  readonly log: Logger;
  readonly around: Surroundings;
  readonly state: StateDirectory;
  /** Called from the last to the first. */
  readonly closers: (() => Promise<void> | void)[];
}
