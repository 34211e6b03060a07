/** The log of a job, as its worker writes it. */
import type { TaskLog } from '../../domain/ports/task-log.ts';
import { Masker } from '../logs/masker.ts';
import type { Offer, WorkerServer } from './protocol.ts';

const LOG_BYTES = 256 * 1024;
const GATHER_MS = 100;
const TAIL_BYTES = 64 * 1024;

/** Goes to the server in pieces of some size; masked here too, since its end is part of the result. */
export class UploadedLog implements TaskLog {
  readonly #server: WorkerServer;
  readonly #offer: Offer;
  readonly #signal: AbortSignal;
  readonly #masker: Masker;
  #tail: Buffer = Buffer.alloc(0);
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #sentAtMs = 0;

  constructor(server: WorkerServer, offer: Offer, signal: AbortSignal) {
    this.#server = server;
    this.#offer = offer;
    this.#signal = signal;
    this.#masker = new Masker(Object.values(offer.secretValues));
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#keep(this.#masker.push(Buffer.from(bytes)));
  }

  async group(title: string): Promise<void> {
    await this.#flush();
    await this.#server.log(this.#offer, { group: title }, this.#signal);
  }

  async tail(limitBytes: number): Promise<string> {
    await this.#flush();
    return this.#tail.subarray(-limitBytes).toString('utf8');
  }

  close(): Promise<void> {
    return this.#flush();
  }

  async #keep(bytes: Buffer): Promise<void> {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#tail = Buffer.concat([this.#tail, bytes]).subarray(-TAIL_BYTES);
    if (this.#waitingBytes >= LOG_BYTES || performance.now() - this.#sentAtMs > GATHER_MS) await this.#send();
  }

  async #flush(): Promise<void> {
    await this.#keep(this.#masker.end());
    await this.#send();
  }

  async #send(): Promise<void> {
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#sentAtMs = performance.now();
    // A job that is not wanted has no log to write to any more.
    if (bytes.length === 0 || this.#signal.aborted) return;
    for (let at = 0; at < bytes.length; at += LOG_BYTES)
      await this.#server.log(this.#offer, { bytes: bytes.subarray(at, at + LOG_BYTES) }, this.#signal);
  }
}
