/** A connection to an instance: in use by one exchange, or idle and ready for the next. */
import net from 'node:net';
import type { Endpoint } from '../../domain/server-group.ts';

/** Where connections go, and where they rest. */
export interface ConnectionHolder {
  readonly address: Endpoint;
  /** The freshest last. */
  readonly idle: UpstreamConnection[];
  readonly isDraining: boolean;
}

/** Who uses the connection right now. */
export interface UpstreamUser {
  connected(): void;
  received(chunk: Buffer): void;
  drained(): void;
  /** The instance has said all it will; its half of the connection is closed. */
  ended(): void;
  /** Gone, with or without an error. */
  closed(error: NodeJS.ErrnoException | undefined): void;
}

/** Shorter than any server's idle timeout met in practice, for those that do not tell theirs. */
const UNTOLD_IDLE_MS = 1_500;
const LONGEST_IDLE_MS = 30_000;
const IDLE_CONNECTIONS = 256;

export class UpstreamConnection {
  isConnected = false;
  /** True once it has carried a whole exchange: its server may close it at any moment. */
  isReused = false;
  readonly #holder: ConnectionHolder;
  #user: UpstreamUser | undefined;
  #idleUntilMs = 0;
  #error: NodeJS.ErrnoException | undefined;
  readonly #socket: net.Socket;

  constructor(holder: ConnectionHolder) {
    this.#holder = holder;
    this.#socket = net.connect({
      host: holder.address.host,
      port: holder.address.port,
      noDelay: true,
      keepAlive: true,
      allowHalfOpen: true,
    });
    this.#socket.on('connect', this.#onConnect);
    this.#socket.on('data', this.#onData);
    this.#socket.on('drain', this.#onDrain);
    this.#socket.on('end', this.#onEnd);
    this.#socket.on('error', this.#onError);
    this.#socket.on('close', this.#onClose);
  }

  use(user: UpstreamUser): void {
    this.#user = user;
  }

  /** False: wait for `drained` before writing more. */
  write(data: string | Buffer): boolean {
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  destroy(): void {
    this.#user = undefined;
    this.#socket.destroy();
  }

  /** Gives the bare socket away, for a tunnel. */
  surrender(): net.Socket {
    this.#user = undefined;
    this.#socket.removeAllListeners('data');
    this.#socket.removeAllListeners('drain');
    this.#socket.removeAllListeners('end');
    this.#socket.removeAllListeners('close');
    return this.#socket;
  }

  isStale(nowMs: number): boolean {
    return nowMs >= this.#idleUntilMs;
  }

  /**
   * Back for the next exchange, for at most half the time that its server keeps idle connections: one that
   * closes it at the very moment of a request would make that request fail.
   */
  rest(nowMs: number, toldTimeoutMs: number | undefined): void {
    const { idle } = this.#holder;
    if (this.#holder.isDraining || idle.length >= IDLE_CONNECTIONS || this.#socket.destroyed) {
      this.destroy();
      return;
    }
    const idleMs =
      toldTimeoutMs === undefined ? UNTOLD_IDLE_MS : Math.min(toldTimeoutMs / 2, LONGEST_IDLE_MS);
    this.#user = undefined;
    this.isReused = true;
    this.#idleUntilMs = nowMs + idleMs;
    this.#socket.resume();
    idle.push(this);
  }

  readonly #onConnect = (): void => {
    this.isConnected = true;
    this.#user?.connected();
  };

  readonly #onData = (chunk: Buffer): void => {
    // Bytes that nobody asked for would be taken for the next answer.
    if (this.#user === undefined) this.#leaveIdle();
    else this.#user.received(chunk);
  };

  readonly #onDrain = (): void => {
    this.#user?.drained();
  };

  readonly #onEnd = (): void => {
    if (this.#user === undefined) this.#leaveIdle();
    else this.#user.ended();
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    const user = this.#user;
    this.#user = undefined;
    if (user === undefined) this.#leaveIdle();
    else user.closed(this.#error);
  };

  #leaveIdle(): void {
    const index = this.#holder.idle.indexOf(this);
    if (index !== -1) this.#holder.idle.splice(index, 1);
    this.#socket.destroy();
  }
}

/** The freshest idle connection there, or a new one. */
export function connectionTo(holder: ConnectionHolder, nowMs: number, onlyNew: boolean): UpstreamConnection {
  while (!onlyNew) {
    const idle = holder.idle.pop();
    if (idle === undefined) break;
    if (!idle.isStale(nowMs)) return idle;
    idle.destroy();
  }
  return new UpstreamConnection(holder);
}
