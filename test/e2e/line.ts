/** The network between a client and its server: it can be cut, and leads to wherever the server is now. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Line {
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async open(target: () => Promise<string>): Promise<Line> {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it listens on a port');
    const line = new Line(server, address.port);
    server.on('connection', (client) => void line.#join(client, target));
    return line;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  async #join(client: Socket, target: () => Promise<string>): Promise<void> {
    this.#keep(client);
    const { hostname, port } = new URL(await target());
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const server = this.#keep(connect(Number(port), hostname));
    client.pipe(server).pipe(client);
    client.once('close', () => server.destroy());
    server.once('close', () => client.destroy());
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    // What is cut off is told by its end.
    socket.on('error', () => undefined).once('close', () => this.#sockets.delete(socket));
    return socket;
  }
}
