/** Which servers work on the store. */
import type { KnownServer } from '../known-server.ts';

export interface ServerStore {
  /** It lives, and is reached there; those that were not seen since `forgetBeforeMs` are forgotten. */
  beat(server: Omit<KnownServer, 'stoppedAtMs'>, forgetBeforeMs: number): Promise<void>;
  /** It has let go of what it held, and will not be seen before it is started again. */
  stopped(id: string, atMs: number): Promise<void>;
  get(id: string): Promise<KnownServer | undefined>;
  /** In the order in which they started. */
  list(): Promise<readonly KnownServer[]>;
}
