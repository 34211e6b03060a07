/** How a router process is started, by a driver or by its predecessor: argv is [entry, state, listen, build, limits]. */

import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import type { ListenAddress } from './listener.ts';

export interface LaunchArguments {
  readonly entry: string;
  readonly stateDirectory: string;
  readonly listen: ListenAddress;
  readonly build: string;
  readonly limits?: Readonly<Record<string, number>> | undefined;
}

export const EXIT_LISTEN_TAKEN = 98;

export function launchArguments(launch: LaunchArguments): string[] {
  return [
    launch.entry,
    launch.stateDirectory,
    JSON.stringify(launch.listen),
    launch.build,
    JSON.stringify(launch.limits ?? {}),
  ];
}

/** Nothing of the server's environment reaches the router: it may hold secrets, and the router needs none of it. */
export function launchEnvironment(): NodeJS.ProcessEnv {
  return { NODE_ENV: 'production' };
}

/** Limits that this build knows; those of another build are left out. */
export function readLimits(given: Readonly<Record<string, unknown>>): Limits {
  const known = Object.keys(DEFAULT_LIMITS);
  const usable = Object.entries(given).filter(
    ([name, value]) => known.includes(name) && typeof value === 'number',
  );
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(usable) };
}
