/** Stands between the store and Postgres, and cuts the connection at a COMMIT: before it gets there, or before its answer gets back. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Cut = 'before-commit' | 'after-commit';

/** Simple query message `Q`, its length, and the text. */
const COMMIT = Buffer.from('Q\0\0\0\x0bcommit\0', 'latin1');

export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #upstreamPort: number;
  #cut: Cut | undefined;

  private constructor(upstreamPort: number) {
    this.#upstreamPort = upstreamPort;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(upstreamPort: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(upstreamPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('The proxy does not listen.');
    return address.port;
  }

  /** Cuts at the next COMMIT, once. */
  cutAtCommit(cut: Cut): void {
    this.#cut = cut;
  }

  /** Cuts all connections, without a word of warning. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cutAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    const upstream = connect(this.#upstreamPort, '127.0.0.1');
    let silent = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      const cut = chunk.includes(COMMIT) ? this.#cut : undefined;
      if (cut === undefined) {
        upstream.write(chunk);
        return;
      }
      this.#cut = undefined;
      if (cut === 'before-commit') return end();
      silent = true;
      upstream.write(chunk);
    });
    // Its answer shows that Postgres has committed; the client never gets it.
    upstream.on('data', (chunk) => (silent ? end() : void client.write(chunk)));
  }
}
