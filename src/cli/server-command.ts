/** The command of the server's own process, in the foreground and in the background alike. */

/**
 * The young part of the heap is kept small: the server makes little garbage, and with V8's own limit it holds 20 MB
 * more while idle.
 */
const NODE_FLAGS = ['--max-semi-space-size=2'];

export function serverCommand(entry: string, args: readonly string[]): readonly [string, readonly string[]] {
  return [process.execPath, [...NODE_FLAGS, entry, ...args]];
}
