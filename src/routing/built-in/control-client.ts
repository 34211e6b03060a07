/** The server's side of a router's control socket: one connection, any number of calls under way. */
import net from 'node:net';
import { KilnError } from '../../domain/errors.ts';
import { readJsonLines } from './lines.ts';
import { type ControlRequest, PROTOCOL_VERSION, replySchema } from './protocol.ts';

const CALL_TIMEOUT_MS = 15_000;

interface Call {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

export class ControlClient {
  readonly #file: string;
  readonly #calls = new Map<number, Call>();
  readonly #onLost: () => void;
  #socket: Promise<net.Socket> | undefined;
  /** The connection that stands. */
  #current: net.Socket | undefined;
  #nextId = 1;

  /** `onLost` is told when a connection that stood is gone. */
  constructor(file: string, onLost: () => void = () => undefined) {
    this.#file = file;
    this.#onLost = onLost;
  }

  /** Fails with `router.unreachable` when nobody answers, else with what the router says. */
  async call(request: ControlRequest, signal: AbortSignal, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    signal.throwIfAborted();
    const socket = await this.#connected();
    const id = this.#nextId++;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#calls.delete(id);
        reject(
          signal.aborted
            ? new KilnError('aborted', `The call "${request.op}" to the router was cancelled.`, {
                cause: signal.reason,
              })
            : new KilnError('timeout', `The router did not answer "${request.op}" in time.`, {
                retryable: true,
              }),
        );
      };
      const settled =
        <Value>(settle: (value: Value) => void) =>
        (value: Value) => {
          deadline.removeEventListener('abort', giveUp);
          if (this.#calls.size === 0) socket.unref();
          settle(value);
        };
      this.#calls.set(id, { resolve: settled(resolve), reject: settled(reject) });
      deadline.addEventListener('abort', giveUp, { once: true });
      socket.ref();
      socket.write(`${JSON.stringify({ id, version: PROTOCOL_VERSION, ...request })}\n`);
    });
  }

  /** Lets go of the connection; the next call makes a new one. */
  disconnect(): void {
    const current = this.#current;
    this.#current = undefined;
    this.#socket = undefined;
    current?.destroy();
    this.#rejectAll(undefined);
  }

  close(): void {
    this.disconnect();
  }

  #connected(): Promise<net.Socket> {
    if (this.#socket === undefined) {
      const connecting = this.#connect();
      this.#socket = connecting;
      connecting.catch(() => {
        if (this.#socket === connecting) this.#socket = undefined;
      });
    }
    return this.#socket;
  }

  #connect(): Promise<net.Socket> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(this.#file);
      let stood = false;
      socket.on('connect', () => {
        stood = true;
        this.#current = socket;
        resolve(socket);
      });
      let cause: Error | undefined;
      socket.on('error', (error) => {
        cause = error;
      });
      socket.on('close', () => {
        if (!stood) reject(this.#unreachable(cause));
        else this.#lost(socket, cause);
      });
      readJsonLines(socket, (value) => this.#take(value));
    });
  }

  #take(value: unknown): void {
    const reply = replySchema.safeParse(value);
    if (!reply.success) return; // the call it was meant for ends by its deadline
    const call = this.#calls.get(reply.data.id);
    this.#calls.delete(reply.data.id);
    if (reply.data.ok) call?.resolve(reply.data.result);
    else {
      const { code, message, next, retryable } = reply.data.error;
      call?.reject(new KilnError(code, message, { retryable, ...(next === undefined ? {} : { next }) }));
    }
  }

  #lost(socket: net.Socket, cause: Error | undefined): void {
    if (this.#current !== socket) return; // let go of before
    this.#current = undefined;
    this.#socket = undefined;
    this.#rejectAll(cause);
    this.#onLost();
  }

  #rejectAll(cause: Error | undefined): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.reject(this.#unreachable(cause));
  }

  #unreachable(cause: Error | undefined): KilnError {
    return new KilnError('router.unreachable', `No router answers on ${this.#file}.`, {
      next: 'Wait for the server to start it again, or see router.log beside that socket.',
      retryable: true,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
