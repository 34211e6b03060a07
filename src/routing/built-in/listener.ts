/** Takes connections, and hands the listening socket on to a successor. */
import net from 'node:net';
import { KilnError } from '../../domain/errors.ts';
import { ClientConnection, type ConnectionKeeper } from './client-connection.ts';
import type { Forwarding } from './forwarding.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const SWEEP_MS = 250;
const BACKLOG = 1024;

export class Listener implements ConnectionKeeper {
  readonly server: net.Server;
  readonly #connections = new Set<ClientConnection>();
  readonly #sweep: NodeJS.Timeout;
  readonly #report: (thrown: unknown) => void;
  readonly #serve: (socket: net.Socket) => void;
  /** Connections that came before there was a table to serve them by; undefined once there is. */
  #early: net.Socket[] | undefined = [];
  #mayKeep = true;

  constructor(forwarding: Forwarding, report: (thrown: unknown) => void) {
    this.#report = report;
    this.#serve = (socket) => {
      this.#connections.add(new ClientConnection(socket, forwarding, this));
    };
    this.server = net.createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true }, (socket) => {
      if (this.#early === undefined) {
        this.#serve(socket);
        return;
      }
      socket.on('error', () => socket.destroy()); // it is passed over when its turn comes
      this.#early.push(socket);
    });
    this.#sweep = setInterval(() => {
      const nowMs = forwarding.now();
      for (const connection of this.#connections) connection.sweep(nowMs);
      forwarding.table.closeStaleIdle(nowMs);
    }, SWEEP_MS);
  }

  get mayKeep(): boolean {
    return this.#mayKeep;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** The address it takes connections on; port 0 has become a real one. */
  get address(): ListenAddress {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the listener is not listening');
    return { host: address.address, port: address.port };
  }

  /** From now on requests are answered; those that came before waited. */
  open(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const socket of early) {
      if (!socket.destroyed) this.#serve(socket);
    }
  }

  listen(on: ListenAddress | net.Server): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, on)));
      const ready = () => {
        this.server.removeAllListeners('error');
        this.server.on('error', this.#report);
        resolve();
      };
      if (on instanceof net.Server) this.server.listen(on, ready);
      else this.server.listen({ host: on.host, port: on.port, backlog: BACKLOG }, ready);
    });
  }

  /**
   * Takes no new connections; those there are end with their next answer, or when their client lets go.
   * A kept connection is never closed between two requests: one could be on its way.
   */
  retire(): void {
    this.#mayKeep = false;
    this.server.close();
  }

  /** Ends everything at once. */
  close(): void {
    clearInterval(this.#sweep);
    this.server.close();
    for (const connection of this.#connections) connection.destroy();
  }

  closed(connection: ClientConnection): void {
    this.#connections.delete(connection);
  }

  failed(thrown: unknown): void {
    this.#report(thrown);
  }
}

function explain(error: NodeJS.ErrnoException, on: ListenAddress | net.Server): Error {
  if (error.code !== 'EADDRINUSE' || on instanceof net.Server) return error;
  return new KilnError('listen.taken', `Another process listens on ${on.host}:${on.port}.`, {
    cause: error,
    next: 'Stop that process, or choose another address for the router.',
  });
}
