/**
 * Finds where a message's body ends, while its bytes are passed on as they are. What it takes has been
 * checked: bytes after a fault are never taken, so a message with a fault never looks complete to the next hop.
 */
import { BadHead, isToken } from './head-text.ts';

export interface BodyReader {
  readonly isDone: boolean;
  /** How far the body goes in `chunk` from `from`: an index up to `chunk.length`. Throws BadHead(400). */
  take(chunk: Buffer, from: number, onData?: (from: number, to: number) => void): number;
}

/** How a head says where the body ends. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly sizeBytes: number }
  | { readonly kind: 'chunked' }
  /** Ends with the connection: only an answer's. */
  | { readonly kind: 'until-close' };

export function bodyReader(framing: BodyFraming): BodyReader {
  switch (framing.kind) {
    case 'none':
      return new EmptyBody();
    case 'length':
      return new LengthBody(framing.sizeBytes);
    case 'chunked':
      return new ChunkedBody();
    case 'until-close':
      return new UntilCloseBody();
  }
}

export class EmptyBody implements BodyReader {
  readonly isDone = true;

  take(_chunk: Buffer, from: number): number {
    return from;
  }
}

export class LengthBody implements BodyReader {
  #leftBytes: number;

  constructor(sizeBytes: number) {
    this.#leftBytes = sizeBytes;
  }

  get isDone(): boolean {
    return this.#leftBytes === 0;
  }

  take(chunk: Buffer, from: number, onData?: (from: number, to: number) => void): number {
    const to = Math.min(chunk.length, from + this.#leftBytes);
    this.#leftBytes -= to - from;
    if (to > from) onData?.(from, to);
    return to;
  }
}

class UntilCloseBody implements BodyReader {
  readonly isDone = false;

  take(chunk: Buffer, from: number, onData?: (from: number, to: number) => void): number {
    if (chunk.length > from) onData?.(from, chunk.length);
    return chunk.length;
  }
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const MAX_SIZE_DIGITS = 12;
const MAX_EXTENSION_BYTES = 1024;
const MAX_TRAILER_BYTES = 8 * 1024;

/**
 *   size → (extension) → size-lf → data → data-cr → data-lf → size …      a chunk
 *                                → trailer … → done                       the last one, of size 0
 * Every line ends with CR LF, never with one of them.
 */
type ChunkPlace = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'done';

export class ChunkedBody implements BodyReader {
  #place: ChunkPlace = 'size';
  #digits = 0;
  #sizeBytes = 0;
  #extensionBytes = 0;
  #trailer = '';
  #trailerBytes = 0;

  get isDone(): boolean {
    return this.#place === 'done';
  }

  take(chunk: Buffer, from: number, onData?: (from: number, to: number) => void): number {
    let at = from;
    while (at < chunk.length && this.#place !== 'done') {
      if (this.#place === 'data') {
        const to = Math.min(chunk.length, at + this.#sizeBytes);
        onData?.(at, to);
        this.#sizeBytes -= to - at;
        at = to;
        if (this.#sizeBytes === 0) this.#place = 'data-cr';
      } else {
        this.#step(chunk[at] ?? 0);
        at++;
      }
    }
    return at;
  }

  #step(byte: number): void {
    switch (this.#place) {
      case 'size':
        this.#stepSize(byte);
        return;
      case 'extension':
        this.#stepExtension(byte);
        return;
      case 'size-lf':
        this.#expect(byte, LF);
        this.#place = this.#sizeBytes === 0 ? 'trailer' : 'data';
        return;
      case 'data-cr':
        this.#expect(byte, CR);
        this.#place = 'data-lf';
        return;
      case 'data-lf':
        this.#expect(byte, LF);
        this.#place = 'size';
        this.#digits = 0;
        this.#extensionBytes = 0;
        return;
      default:
        this.#stepTrailer(byte);
    }
  }

  #stepSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      if (++this.#digits > MAX_SIZE_DIGITS) throw new BadHead(400, 'a chunk size is too large');
      this.#sizeBytes = this.#sizeBytes * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new BadHead(400, 'a chunk size is malformed');
    if (byte === CR) this.#place = 'size-lf';
    else if (byte === SEMICOLON) this.#place = 'extension';
    else throw new BadHead(400, 'a chunk size is malformed');
  }

  #stepExtension(byte: number): void {
    if (byte === CR) {
      this.#place = 'size-lf';
      return;
    }
    const isText = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
    if (!isText || ++this.#extensionBytes > MAX_EXTENSION_BYTES) {
      throw new BadHead(400, 'a chunk extension is malformed');
    }
  }

  #stepTrailer(byte: number): void {
    if (++this.#trailerBytes > MAX_TRAILER_BYTES) throw new BadHead(400, 'the trailers are too large');
    this.#trailer += String.fromCharCode(byte);
    if (byte !== LF) return;
    const line = this.#trailer;
    this.#trailer = '';
    if (line === '\r\n') this.#place = 'done';
    else refuseBadTrailer(line);
  }

  #expect(byte: number, expected: number): void {
    if (byte !== expected) throw new BadHead(400, 'a chunk does not end where its size says');
  }
}

/** What a server could take for framing, routing or trust when it merges trailers into headers. */
const NEVER_A_TRAILER =
  /^(?:transfer-encoding|content-length|host|connection|upgrade|te|trailer|expect|authorization|cookie|set-cookie|content-encoding|content-type|content-range|forwarded|x-forwarded-.*|x-kiln-.*)$/i;

function refuseBadTrailer(line: string): void {
  const colonAt = line.indexOf(':');
  const name = line.slice(0, Math.max(0, colonAt));
  const value = line.slice(colonAt + 1, -2);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  const isBad = !isToken(name) || !line.endsWith('\r\n') || /[\0-\x08\x0a-\x1f\x7f]/.test(value);
  if (isBad || NEVER_A_TRAILER.test(name)) throw new BadHead(400, 'a trailer is malformed or not allowed');
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
