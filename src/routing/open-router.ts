/** The one place that knows which routers there are. */
import type { Clock } from '../domain/ports/clock.ts';
import type { Router } from '../domain/ports/router.ts';
import { BuiltInRouter } from './built-in/driver.ts';
import { HaproxyRouter } from './haproxy/driver.ts';
import type { RouterLog } from './router-log.ts';

export interface OpenRouterOptions {
  readonly driver: 'built-in' | 'haproxy';
  readonly stateDirectory: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** What the built-in router's process is run by, and its entry in this build. */
  readonly nodePath: string;
  readonly entry: string;
  readonly build: string;
  readonly clock: Clock;
  readonly log: RouterLog;
}

/**
 * Builds the driver; `start` then brings up its router or adopts the one that runs. Each driver has a folder of
 * its own in the state directory, so that changing the driver never mixes what they left there.
 */
export async function openRouter(options: OpenRouterOptions): Promise<Router> {
  const { driver, stateDirectory, listen, clock, log } = options;
  if (driver === 'built-in') {
    const { nodePath, entry, build } = options;
    return new BuiltInRouter({
      nodePath,
      entry,
      build,
      stateDirectory: `${stateDirectory}/built-in`,
      listen,
      log,
    });
  }
  return new HaproxyRouter({
    program: 'haproxy',
    stateDirectory: `${stateDirectory}/haproxy`,
    listen,
    clock,
    log,
  });
}
