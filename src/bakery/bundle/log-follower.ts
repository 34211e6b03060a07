/** Reads a growing log from where it last stopped, line by line, and keeps the last lines. */
import { open, stat } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { isMissing } from '../../files/system-error.ts';

const PIECE_BYTES = 64 * 1024;
/** A longer line is cut, so that one that never ends costs no memory. */
const LINE_LIMIT = 4096;

export class LogFollower {
  readonly #file: string;
  readonly #tailLines: number;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #tail: string[] = [];
  #rest = '';
  #offset = 0;

  constructor(file: string, tailLines: number, onLine: (line: string) => void) {
    this.#file = file;
    this.#tailLines = tailLines;
    this.#onLine = onLine;
  }

  get tail(): readonly string[] {
    return this.#tail;
  }

  /** What stands there already belongs to somebody else. */
  async skipToEnd(): Promise<void> {
    try {
      this.#offset = (await stat(this.#file)).size;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async read(): Promise<void> {
    const handle = await open(this.#file, 'r');
    try {
      const piece = Buffer.alloc(PIECE_BYTES);
      for (;;) {
        const { bytesRead } = await handle.read(piece, 0, PIECE_BYTES, this.#offset);
        if (bytesRead === 0) return;
        this.#offset += bytesRead;
        this.#take(this.#decoder.write(piece.subarray(0, bytesRead)));
      }
    } finally {
      await handle.close();
    }
  }

  /** The last line may lack its end. */
  finish(): void {
    if (this.#rest !== '') this.#line(this.#rest);
    this.#rest = '';
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, LINE_LIMIT);
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const text = line.slice(0, LINE_LIMIT).replace(/\r$/, '');
    this.#tail = [...this.#tail.slice(1 - this.#tailLines), text];
    this.#onLine(text);
  }
}
