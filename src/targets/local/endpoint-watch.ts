import type { Clock } from '../../domain/ports/clock.ts';
import type { Endpoint } from '../../domain/server-group.ts';
import type { Listener } from '../listeners.ts';
import { childrenOf, openSockets, socketAt } from './processes.ts';
import { membersOf, type ProcessTree } from './termination.ts';

export type PortOwner =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'own'; readonly endpoint: Endpoint }
  | { readonly kind: 'foreign' };

/** Somebody else is only believed to hold the port when it is seen again after this long. */
const DOUBT_MS = 150;
/** The kernel's table of listeners costs milliseconds to read: without a reason it is read this often. */
const TABLE_MS = 250;
/**
 * A socket that was found to be the listener, and is still open, is taken for it until the next multiple of this:
 * all instances are confirmed together, from one reading of the table.
 */
const TRUST_MS = 30_000;

/**
 * Whether the instance itself owns the listener on its port. The table of listeners says which socket it is, the
 * open files of its processes whose it is. The table is read when these open a new socket, not at each look.
 */
export class EndpointWatch {
  readonly #port: number | undefined;
  readonly #tree: () => ProcessTree;
  readonly #clock: Clock;
  #answer: PortOwner = { kind: 'nobody' };
  #readAt: number;
  /** The listening sockets by inode, with the places where its processes hold them. */
  #own: ReadonlyMap<string, string> = new Map();
  #socketsSeen = '';
  #foreignSince: number | undefined;

  constructor(port: number | undefined, tree: () => ProcessTree, clock: Clock) {
    this.#port = port;
    this.#tree = tree;
    this.#clock = clock;
    // A program needs some time until it listens; when it opens a socket the table is read at once.
    this.#readAt = clock.monotonic();
  }

  look(listeners: () => readonly Listener[]): PortOwner {
    const now = this.#clock.monotonic();
    const sinceMs = now - this.#readAt;
    if (this.#answer.kind === 'own') {
      const isTrusted = Math.floor(now / TRUST_MS) === Math.floor(this.#readAt / TRUST_MS);
      if (isTrusted && this.#stillOpen()) return this.#answer;
    } else {
      const sockets = this.#socketsOfMain();
      if (sinceMs < TABLE_MS && sockets === this.#socketsSeen) return this.#answer;
      this.#socketsSeen = sockets;
    }
    this.#readAt = now;
    this.#answer = this.#judge(listeners());
    return this.#answer;
  }

  #judge(listeners: readonly Listener[]): PortOwner {
    const onPort = listeners.filter((listener) => listener.port === this.#port);
    const onLoopback = onPort.filter((listener) => listener.coversLoopback);
    // All that could take a connection made to the endpoint must be its own, not just one of them.
    const decisive = onLoopback.length > 0 ? onLoopback : onPort;
    const [first] = decisive;
    if (first !== undefined && !this.#ownsAll(decisive)) return this.#doubt();
    this.#foreignSince = undefined;
    if (first === undefined) return { kind: 'nobody' };
    return {
      kind: 'own',
      endpoint: { host: first.coversLoopback ? '127.0.0.1' : first.host, port: first.port },
    };
  }

  #ownsAll(decisive: readonly Listener[]): boolean {
    const own = new Map<string, string>();
    const claim = (pid: number) => {
      const held = openSockets(pid);
      for (const { inode } of decisive) {
        const place = held.get(inode);
        if (place !== undefined) own.set(inode, place);
      }
      return decisive.every(({ inode }) => own.has(inode));
    };
    const found = this.#nearMain().some(claim) || membersOf(this.#tree()).some(({ pid }) => claim(pid));
    if (found) this.#own = own;
    return found;
  }

  #stillOpen(): boolean {
    return [...this.#own].every(([inode, place]) => socketAt(place) === inode);
  }

  /** The main process and its children: nearly always one of them listens. */
  #nearMain(): readonly number[] {
    const { main } = this.#tree().known;
    return main === undefined ? [] : [main.pid, ...childrenOf(main.pid)];
  }

  #socketsOfMain(): string {
    return this.#nearMain()
      .flatMap((pid) => [...openSockets(pid).keys()])
      .join();
  }

  #doubt(): PortOwner {
    const now = this.#clock.monotonic();
    this.#foreignSince ??= now;
    return now - this.#foreignSince >= DOUBT_MS ? { kind: 'foreign' } : { kind: 'nobody' };
  }
}
