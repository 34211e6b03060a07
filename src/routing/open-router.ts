/** The one place that knows which routers there are. */
import type { Router } from '../domain/ports/router.ts';
import { BuiltInRouter, type BuiltInRouterOptions } from './built-in/driver.ts';

export interface OpenRouterOptions extends BuiltInRouterOptions {
  readonly driver: 'built-in';
}

/** Builds the driver; `start` then brings up its router or adopts the one that runs. */
export async function openRouter(options: OpenRouterOptions): Promise<Router> {
  return new BuiltInRouter(options);
}
