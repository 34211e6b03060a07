/** Which route a request belongs to: exact host, then the longest path prefix that ends at a `/`. */
import type { TableRoute } from '../domain/routing.ts';

/** Lower case, without port and without the root's trailing dot, as routes are kept. */
export function hostOf(hostHeader: string): string {
  const portAt = hostHeader.endsWith(']') ? -1 : hostHeader.lastIndexOf(':');
  const withoutPort = portAt === -1 ? hostHeader : hostHeader.slice(0, portAt);
  const name = withoutPort.toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** `/api` covers `/api` and `/api/…`, never `/apix`. A route's own trailing slash means nothing. */
export function covers(routePath: string, path: string): boolean {
  const prefix = routePath.endsWith('/') ? routePath.slice(0, -1) : routePath;
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f;
}

/** Longest first, so that the first that covers a path is the one that wins. */
export function byPathLength(a: Pick<TableRoute, 'path'>, b: Pick<TableRoute, 'path'>): number {
  return b.path.length - a.path.length;
}
