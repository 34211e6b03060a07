/** The command of the server's own process, in the foreground and in the background alike. */

/**
 * The young part of the heap is kept small: the server makes little garbage, and with V8's own limit it holds 20 MB
 * more while idle.
 */
const NODE_FLAGS = ['--max-semi-space-size=2'];

/** One arena of the C library for all threads: each of its own keeps what it once had, 8 MB together while idle. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function serverCommand(
  entry: string,
  args: readonly string[],
  env: ServerCommand['env'],
): ServerCommand {
  return {
    program: process.execPath,
    args: [...NODE_FLAGS, entry, ...args],
    env: { ...ENVIRONMENT, ...env },
  };
}
