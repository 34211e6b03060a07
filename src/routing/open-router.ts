/** The one place that knows which routers there are. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../domain/ports/clock.ts';
import type { Router } from '../domain/ports/router.ts';
import { BuiltInRouter } from './built-in/driver.ts';
import { HaproxyRouter } from './haproxy/driver.ts';
import type { RouterLog } from './router-log.ts';

export type RouterDriver = 'built-in' | 'haproxy';

export interface OpenRouterOptions {
  readonly driver: RouterDriver;
  /** Each driver has a folder of its own in it. */
  readonly stateDirectory: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** What the built-in router's process is run by, and its entry in this build. */
  readonly nodePath: string;
  readonly entry: string;
  readonly build: string;
  readonly clock: Clock;
  readonly log: RouterLog;
}

const STOP_TIMEOUT_MS = 15_000;

/**
 * Builds the driver; `start` then brings up its router or adopts the one that runs. A router of the other driver,
 * left from before the setting was changed, is stopped: both would want the same address.
 */
export async function openRouter(options: OpenRouterOptions): Promise<Router> {
  const other = options.driver === 'built-in' ? 'haproxy' : 'built-in';
  if (existsSync(folderOf(options, other))) {
    const left = build(options, other);
    await left.stop(AbortSignal.timeout(STOP_TIMEOUT_MS));
    await left.close();
  }
  return build(options, options.driver);
}

function build(options: OpenRouterOptions, driver: RouterDriver): Router {
  const { listen, log, clock, nodePath, entry } = options;
  const common = { stateDirectory: folderOf(options, driver), listen, log };
  return driver === 'built-in'
    ? new BuiltInRouter({ ...common, nodePath, entry, build: options.build })
    : new HaproxyRouter({ ...common, program: 'haproxy', clock });
}

function folderOf(options: OpenRouterOptions, driver: RouterDriver): string {
  return path.join(options.stateDirectory, driver);
}
