/**
 * Commands as one shell script that says in its own output where each command begins, and the reading of that: a line
 * of the record separator, a word that nothing else knows, and the number of the command.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const RECORD_SEPARATOR = '\u001e';
const CHECK_LIMIT_MS = 5_000;

/** Commands that are whole by themselves are told apart; lines that only make sense together are one. */
export async function scriptOf(
  commands: readonly string[],
  nonce: string,
): Promise<{ readonly text: string; readonly titles: readonly string[] }> {
  const areWhole = await Promise.all(commands.map(isWhole));
  const groups = areWhole.every(Boolean) ? commands : [commands.join('\n')];
  const lines = groups.flatMap((command, n) => [`printf '\\036%s %s\\n' ${nonce} ${n}`, command]);
  return { text: ['exec 2>&1', ...lines].join('\n'), titles: groups.map(titleOf) };
}

async function isWhole(command: string): Promise<boolean> {
  if (/<<-?\s*\S/.test(command)) return command.includes('\n');
  try {
    await run('/bin/sh', ['-n', '-c', command], { timeout: CHECK_LIMIT_MS });
    return true;
  } catch {
    // What is wrong with it, the shell says when it runs.
    return false;
  }
}

function titleOf(command: string): string {
  const [first = ''] = command.trim().split('\n', 1);
  return first.length > 200 ? `${first.slice(0, 199)}…` : first;
}

export type Piece = { readonly bytes: Uint8Array } | { readonly command: number };

/** Takes the markers out of the output, however that is cut. */
export class MarkedOutput {
  readonly #marker: Buffer;
  #rest: Buffer = Buffer.alloc(0);

  constructor(nonce: string) {
    this.#marker = Buffer.from(`${RECORD_SEPARATOR}${nonce} `);
  }

  take(chunk: Uint8Array): readonly Piece[] {
    const pieces: Piece[] = [];
    let text = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const at = text.indexOf(this.#marker);
      if (at === -1) break;
      const end = text.indexOf('\n', at);
      if (at > 0) pieces.push({ bytes: text.subarray(0, at) });
      text = text.subarray(at);
      if (end === -1) {
        this.#rest = text;
        return pieces;
      }
      pieces.push({ command: Number(text.subarray(this.#marker.length, end - at).toString()) });
      text = text.subarray(end - at + 1);
    }
    const keeps = this.#beginning(text);
    if (keeps < text.length) pieces.push({ bytes: text.subarray(0, text.length - keeps) });
    this.#rest = text.subarray(text.length - keeps);
    return pieces;
  }

  end(): readonly Piece[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [{ bytes: rest }];
  }

  /** How many of the last bytes may be the beginning of a marker. */
  #beginning(text: Buffer): number {
    const from = Math.max(0, text.length - this.#marker.length + 1);
    for (
      let at = text.indexOf(RECORD_SEPARATOR, from);
      at !== -1;
      at = text.indexOf(RECORD_SEPARATOR, at + 1)
    ) {
      const tail = text.subarray(at);
      if (this.#marker.subarray(0, tail.length).equals(tail)) return tail.length;
    }
    return 0;
  }
}
