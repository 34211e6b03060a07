/**
 * What one release changes of another beside image and configuration: settings and routes. Pure. The variables of its
 * instances are left out: they hold the configuration's values.
 */
import { type Difference, differences } from '../domain/difference.ts';
import type { Release } from '../domain/release.ts';

type Settings = Pick<Release, 'settings' | 'routes'>;

/** By names such as `processes.web.instances.desired` and `routes.shop.example.com/`. */
export function settingsChanges(from: Settings, to: Settings): readonly Difference[] {
  return differences(named(from), named(to));
}

function named({ settings, routes }: Settings): ReadonlyMap<string, string> {
  const { processes, environment: _, ...others } = settings;
  const named = new Map<string, string>();
  name(named, [], {
    ...others,
    processes: Object.fromEntries(processes.map(({ name, ...process }) => [name, process])),
    routes: Object.fromEntries(routes.map(({ host, path, process }) => [`${host}${path}`, process])),
  });
  return named;
}

function name(found: Map<string, string>, path: readonly string[], value: unknown): void {
  if (typeof value !== 'object' || value === null) {
    if (value !== undefined) found.set(path.join('.'), String(value));
    return;
  }
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) {
    if (value.length > 0) found.set(path.join('.'), value.join(', '));
    return;
  }
  for (const [key, one] of Object.entries(value)) name(found, [...path, key], one);
}
