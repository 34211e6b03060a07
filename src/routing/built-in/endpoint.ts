/**
 * One endpoint as the router holds it.
 *
 *   unknown → up ⇄ down      as its checks say; only `up` gets new requests
 *   draining                 no new requests; what is in flight goes on for drainMs, then is cut
 *   removed                  as draining, and forgotten once nothing is in flight
 */
import type { HealthSpec } from '../../domain/component.ts';
import type { InstanceId } from '../../domain/ids.ts';
import type { EndpointHealth, EndpointObservation } from '../../domain/routing.ts';
import type { Endpoint } from '../../domain/server-group.ts';
import type { ConnectionHolder, UpstreamConnection } from './upstream-connection.ts';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A request or an upgraded connection in flight. */
export interface InFlight {
  /** Ends it at once: its endpoint's drain time is over. */
  cut(): void;
}

export class RoutedEndpointState implements ConnectionHolder {
  readonly instance: InstanceId;
  readonly address: Endpoint;
  readonly idle: UpstreamConnection[] = [];
  health: EndpointHealth = 'unknown';
  /** How it is checked: as its own release asks. */
  check: HealthSpec;
  isDraining = false;
  isRemoved = false;
  readonly #inFlight = new Set<InFlight>();
  readonly #onQuiet: (endpoint: RoutedEndpointState) => void;
  readonly #onRefused: (endpoint: RoutedEndpointState) => void;
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(
    instance: InstanceId,
    address: Endpoint,
    check: HealthSpec,
    /** Told when a removed endpoint has nothing in flight any more. */
    onQuiet: (endpoint: RoutedEndpointState) => void,
    /** Told when traffic found nobody listening, which no check need confirm. */
    onRefused: (endpoint: RoutedEndpointState) => void,
  ) {
    this.instance = instance;
    this.address = address;
    this.check = check;
    this.#onQuiet = onQuiet;
    this.#onRefused = onRefused;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get takesRequests(): boolean {
    return this.health === 'up' && !this.isDraining;
  }

  begin(request: InFlight): void {
    this.#inFlight.add(request);
  }

  end(request: InFlight): void {
    this.#inFlight.delete(request);
    if (this.isRemoved && this.#inFlight.size === 0) this.#letGo();
  }

  refused(): void {
    this.#onRefused(this);
  }

  drain(drainMs: number): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.closeIdle();
    this.#drainTimer = setTimeout(() => this.#cutAll(), Math.min(drainMs, LONGEST_TIMER_MS));
  }

  undrain(): void {
    this.isDraining = false;
    clearTimeout(this.#drainTimer);
  }

  remove(drainMs: number): void {
    this.drain(drainMs);
    this.isRemoved = true;
    if (this.#inFlight.size === 0) this.#letGo();
  }

  closeIdle(): void {
    for (const connection of this.idle.splice(0)) connection.destroy();
  }

  observation(): EndpointObservation {
    return {
      instance: this.instance,
      health: this.health,
      inFlight: this.#inFlight.size,
      draining: this.isDraining,
    };
  }

  #cutAll(): void {
    for (const request of [...this.#inFlight]) request.cut();
  }

  #letGo(): void {
    clearTimeout(this.#drainTimer);
    this.#onQuiet(this);
  }
}
