/** Puts an upstream's heads together from what is received: interim ones (100, 103), then the final one. */
import { BadHead, HEAD_END } from './head-text.ts';
import { type ResponseHead, readResponseHead } from './response-head.ts';

export interface ReadHead {
  readonly response: ResponseHead;
  /** What was received; what comes after the head begins at `restAt`. */
  readonly received: Buffer;
  readonly restAt: number;
}

export class AnswerHeads {
  readonly #method: string;
  readonly #limitBytes: number;
  #received: Buffer | undefined;

  constructor(method: string, limitBytes: number) {
    this.#method = method;
    this.#limitBytes = limitBytes;
  }

  /** Nothing came that is not part of an interim head that was whole. */
  get isEmpty(): boolean {
    return this.#received === undefined;
  }

  take(chunk: Buffer): void {
    this.#received = this.#received === undefined ? chunk : Buffer.concat([this.#received, chunk]);
  }

  /** What came is not to be read any more. */
  clear(): void {
    this.#received = undefined;
  }

  /** `broken`: the upstream's fault. */
  next(): ReadHead | 'incomplete' | 'broken' {
    const received = this.#received;
    if (received === undefined) return 'incomplete';
    const end = received.indexOf(HEAD_END);
    if (end === -1 || end > this.#limitBytes) {
      return received.length > this.#limitBytes ? 'broken' : 'incomplete';
    }
    const response = this.#parse(received.toString('latin1', 0, end + 2));
    if (response === undefined) return 'broken';
    const restAt = end + HEAD_END.length;
    const isInterim = response.status < 200 && response.status !== 101;
    this.#received = isInterim && restAt < received.length ? received.subarray(restAt) : undefined;
    return { response, received, restAt };
  }

  #parse(text: string): ResponseHead | undefined {
    try {
      return readResponseHead(text, this.#method);
    } catch (thrown) {
      if (!(thrown instanceof BadHead)) throw thrown;
      return undefined;
    }
  }
}
