/** After `101 Switching Protocols`: bytes both ways, each side's end passed on, until both are over. */
import type { Socket } from 'node:net';
import type { InFlight, RoutedEndpointState } from './endpoint.ts';

export class Tunnel implements InFlight {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #endpoint: RoutedEndpointState;
  #open = 2;

  /** The caller counts it in flight at the endpoint before it lets go of the request that became it. */
  constructor(client: Socket, upstream: Socket, endpoint: RoutedEndpointState) {
    this.#client = client;
    this.#upstream = upstream;
    this.#endpoint = endpoint;
    this.#tie(client, upstream);
    this.#tie(upstream, client);
  }

  cut(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  #tie(from: Socket, to: Socket): void {
    from.pipe(to);
    from.on('error', () => to.destroy()); // the close that follows says the rest
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
      if (--this.#open === 0) this.#endpoint.end(this);
    });
  }
}
