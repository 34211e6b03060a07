import type { ServiceKey } from '../ids.ts';
import type { ProbeAnswer, RouterObservation, ServiceTable } from '../routing.ts';

export interface RouterStatus {
  readonly driver: string;
  readonly reachable: boolean;
  /** Where it takes traffic, such as `127.0.0.1:7080`. */
  readonly listen: string;
  readonly detail: string;
}

/**
 * One router, or several that act as one. It outlives the server. A table that was acknowledged is in
 * force for every new request; requests in flight and open connections are never cut by a change.
 */
export interface Router {
  /** Starts the router where it does not run yet, or adopts the one that does. */
  start(signal: AbortSignal): Promise<void>;
  /**
   * Puts one service's part in force; resolves when every live router has acknowledged it.
   * An older generation than the one held fails with `fence.stale`; an equal one changes nothing.
   * New endpoints are checked first and get traffic only after their first passed check.
   */
  apply(table: ServiceTable, signal: AbortSignal): Promise<void>;
  /** Removes the service; requests in flight end normally. */
  withdraw(service: ServiceKey, generation: ServiceTable['generation'], signal: AbortSignal): Promise<void>;
  observe(service: ServiceKey, signal: AbortSignal): Promise<RouterObservation>;
  /** Services the router holds anything of. */
  services(signal: AbortSignal): Promise<readonly ServiceKey[]>;
  /** One GET through the router as any client would send it; says who answered. */
  probe(host: string, path: string, signal: AbortSignal): Promise<ProbeAnswer>;
  status(signal: AbortSignal): Promise<RouterStatus>;
  /** Stops the router itself: only `kiln down` asks for this. */
  stop(signal: AbortSignal): Promise<void>;
  /** Lets go of it; it goes on routing. */
  close(): Promise<void>;
}
