/** A way to a server that counts what passes, and does something once so many bytes have passed in one direction. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class FlakyWay {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(server: Server, port: number, sockets: ReadonlySet<Socket>) {
    this.#sockets = sockets;
    this.#server = server;
    this.port = port;
  }

  /** @param onBytes told of each piece on its way; may cut the way */
  static async to(
    port: number,
    onBytes: (direction: 'up' | 'down', piece: Buffer, way: FlakyWay) => void,
  ): Promise<FlakyWay> {
    const sockets = new Set<Socket>();
    let way: FlakyWay | undefined;
    const server = createServer((from) => {
      const to = connect(port, '127.0.0.1');
      for (const [one, other, direction] of [
        [from, to, 'up'],
        [to, from, 'down'],
      ] as const) {
        sockets.add(one);
        one.on('data', (piece) => {
          if (way !== undefined) onBytes(direction, piece, way);
          if (!other.write(piece)) one.pause();
        });
        other.on('drain', () => one.resume());
        one.on('error', () => other.destroy());
        one.on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address !== 'object' || address === null) throw new Error('a server has an address');
    way = new FlakyWay(server, address.port, sockets);
    return way;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Every connection ends at once; new ones are let through. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
