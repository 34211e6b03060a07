import type { Clock } from '../../domain/ports/clock.ts';
import type { Endpoint } from '../../domain/server-group.ts';
import type { Listener } from './listeners.ts';
import { socketInodes } from './processes.ts';
import { membersOf, type ProcessTree } from './termination.ts';

export type PortOwner =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'own'; readonly endpoint: Endpoint }
  | { readonly kind: 'foreign' };

/** Somebody else is only believed to hold the port when it is seen again after this long. */
const DOUBT_MS = 150;

/**
 * Whether the instance itself owns the listener on its port. A socket that was found in one of its processes is
 * its own for as long as that socket exists, so that only a new one costs a search.
 */
export class EndpointWatch {
  readonly #port: number | undefined;
  readonly #tree: () => ProcessTree;
  readonly #clock: Clock;
  #own = new Set<string>();
  #foreignSince: number | undefined;

  constructor(port: number | undefined, tree: () => ProcessTree, clock: Clock) {
    this.#port = port;
    this.#tree = tree;
    this.#clock = clock;
  }

  look(listeners: readonly Listener[]): PortOwner {
    const onPort = listeners.filter((listener) => listener.port === this.#port);
    const onLoopback = onPort.filter((listener) => listener.coversLoopback);
    // All that could take a connection made to the endpoint must be its own, not just one of them.
    const decisive = onLoopback.length > 0 ? onLoopback : onPort;
    const [first] = decisive;
    if (first === undefined) {
      this.#foreignSince = undefined;
      return { kind: 'nobody' };
    }
    if (!this.#ownsAll(decisive)) return this.#doubt();
    this.#foreignSince = undefined;
    const host = first.coversLoopback ? '127.0.0.1' : first.host;
    return { kind: 'own', endpoint: { host, port: first.port } };
  }

  #ownsAll(decisive: readonly Listener[]): boolean {
    const known = () => decisive.every((listener) => this.#own.has(listener.inode));
    if (known()) return true;
    const { main } = this.#tree().known;
    if (main !== undefined) this.#remember(main.pid, decisive);
    if (known()) return true;
    for (const member of membersOf(this.#tree())) this.#remember(member.pid, decisive);
    return known();
  }

  #remember(pid: number, decisive: readonly Listener[]): void {
    const held = socketInodes(pid);
    for (const { inode } of decisive) if (held.has(inode)) this.#own.add(inode);
  }

  #doubt(): PortOwner {
    const now = this.#clock.monotonic();
    this.#foreignSince ??= now;
    return now - this.#foreignSince >= DOUBT_MS ? { kind: 'foreign' } : { kind: 'nobody' };
  }
}
