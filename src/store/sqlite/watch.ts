/** Other processes do not say when they commit; `data_version` tells, for the price of reading a counter. */
import type { DatabaseSync } from 'node:sqlite';
import type { Watch } from '../engine.ts';

const POLL_MS = 250;

export function watchDataVersion(connection: DatabaseSync, poke: () => void): Watch {
  const statement = connection.prepare('pragma data_version');
  let seen = statement.get()?.data_version;
  const timer = setInterval(() => {
    try {
      const version = statement.get()?.data_version;
      if (version === seen) return;
      seen = version;
    } catch {
      // The reader that is poked meets the same trouble, and has a caller to tell.
    }
    poke();
  }, POLL_MS);
  timer.unref();
  return {
    async close() {
      clearInterval(timer);
    },
  };
}
