import { readFileSync } from 'node:fs';
import { parseListeners } from '../listeners.ts';

/**
 * Whether the container itself listens on the port, as the kernel lists it in the container's own network. The
 * engine's proxy takes connections on the published port from the start, so a connection proves nothing.
 *
 * `unknown`: the process is not to be seen from here, as with an engine in a machine of its own; then the router's
 * health check alone says when the instance can serve.
 */
export function listens(pid: number, containerId: string, port: number): 'yes' | 'no' | 'unknown' {
  // Cheap, and it makes sure that this is the container's process and not another that has its number here.
  if (!(read(`/proc/${pid}/cgroup`) ?? '').includes(containerId)) return 'unknown';
  const tables = [read(`/proc/${pid}/net/tcp`), read(`/proc/${pid}/net/tcp6`)];
  if (tables.every((table) => table === undefined)) return 'unknown';
  const listeners = tables.flatMap((table) => parseListeners(table ?? ''));
  const open = listeners.some(
    (one) => one.port === port && !one.host.startsWith('127.') && one.host !== '::1',
  );
  return open ? 'yes' : 'no';
}

/** Undefined: it cannot be read, whatever the reason; the answer is then `unknown`. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
