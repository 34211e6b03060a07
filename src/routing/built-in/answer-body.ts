/** Passes an answer's body on: as it comes, or without its chunks for a client of HTTP/1.0, which knows none. */
import { type BodyReader, bodyReader } from './body.ts';
import type { Downstream } from './forwarding.ts';
import type { ResponseHead } from './response-head.ts';

/** Bodies up to this size leave in one write with their head. */
const JOINED_BYTES = 8 * 1024;

export class AnswerBody {
  readonly #reader: BodyReader;
  readonly #isDechunked: boolean;

  constructor({ body }: ResponseHead, clientMinorVersion: 0 | 1) {
    this.#reader = bodyReader(body);
    this.#isDechunked = body.kind === 'chunked' && clientMinorVersion === 0;
  }

  get isDone(): boolean {
    return this.#reader.isDone;
  }

  /** What of `chunk`, from `from` on, the client gets; and how far the body goes in it. Throws BadHead. */
  take(chunk: Buffer, from: number): { piece: Buffer; to: number } {
    if (!this.#isDechunked) {
      const to = this.#reader.take(chunk, from);
      return { piece: chunk.subarray(from, to), to };
    }
    const pieces: Buffer[] = [];
    const to = this.#reader.take(chunk, from, (a, b) => pieces.push(chunk.subarray(a, b)));
    return { piece: Buffer.concat(pieces), to };
  }
}

/** False: wait until the client has drained. */
export function writeWithHead(client: Downstream, headText: string | undefined, piece: Buffer): boolean {
  if (headText === undefined) return piece.length === 0 || client.write(piece);
  if (piece.length === 0) return client.write(headText);
  if (piece.length <= JOINED_BYTES) return client.write(headText + piece.toString('latin1', 0, piece.length));
  client.write(headText);
  return client.write(piece);
}
