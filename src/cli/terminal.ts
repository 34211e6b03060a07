/** Where the command line writes: results to stdout, all else to stderr. */
import picocolors from 'picocolors';
import type { Environment } from './environment.ts';

export type Colors = ReturnType<typeof picocolors.createColors>;

export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

export interface Terminal {
  readonly colors: Colors;
  /** True: the last line of stderr may be redrawn. */
  readonly live: boolean;
  readonly columns: number;
  /** A result, for people or for the next program of a pipe. */
  out(text: string): void;
  /** Progress, hints and failures. */
  err(text: string): void;
  /** Overwrites the line under the cursor; only when `live`. */
  redraw(text: string): void;
}

const DEFAULT_COLUMNS = 80;

export function openTerminal(stdout: Output, stderr: Output, env: Environment): Terminal {
  const dumb = env.TERM === 'dumb';
  const colored = stderr.isTTY === true && stdout.isTTY === true && !env.NO_COLOR && !dumb;
  return {
    colors: picocolors.createColors(colored || (Boolean(env.FORCE_COLOR) && !env.NO_COLOR)),
    live: stderr.isTTY === true && !dumb && !env.CI,
    // 0 where a terminal does not know its size.
    columns: stderr.columns || DEFAULT_COLUMNS,
    out: (text) => void stdout.write(`${text}\n`),
    err: (text) => void stderr.write(`${text}\n`),
    redraw: (text) => void stderr.write(`\r\x1b[2K${text}`),
  };
}
