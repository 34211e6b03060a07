import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { KilnError } from '../../domain/errors.ts';
import { readListeners } from '../listeners.ts';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

const INSTANCE_PORTS: PortRange = { first: 20_000, last: 32_000 };
const TRIES = 200;

/** The ports the kernel gives to outgoing connections: any of them may be in use at any moment. */
export function ephemeralRange(): PortRange {
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
  const [first = 32_768, last = 60_999] = text.trim().split(/\s+/).map(Number);
  return { first, last };
}

/** True for ports that instances may be given. */
export function isInstancePort(port: number, ephemeral: PortRange): boolean {
  const within = port >= INSTANCE_PORTS.first && port <= INSTANCE_PORTS.last;
  return within && (port < ephemeral.first || port > ephemeral.last);
}

/** A port that nobody has been given and nobody listens on, tried by binding it. */
export async function choosePort(given: ReadonlySet<number>): Promise<number> {
  const ephemeral = ephemeralRange();
  const listening = new Set(readListeners().map((listener) => listener.port));
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(INSTANCE_PORTS.first, INSTANCE_PORTS.last + 1);
    if (!isInstancePort(port, ephemeral) || given.has(port) || listening.has(port)) continue;
    if (await canBind(port)) return port;
  }
  throw new KilnError('instance.port-taken', 'No free port was found for an instance.', {
    next: `Free ports between ${INSTANCE_PORTS.first} and ${INSTANCE_PORTS.last}, or move net.ipv4.ip_local_port_range away from them.`,
    retryable: true,
  });
}

/** On all addresses at once, which fails when anybody listens on any of them. */
function canBind(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false)); // Whatever the reason: it is not a port to give away.
  server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}
