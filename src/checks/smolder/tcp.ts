/** Connects to a port, with Smolder's patience: seven attempts and a growing pause between them. */
import net from 'node:net';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Endpoint } from '../../domain/server-group.ts';

const CONNECT_TIMEOUT_MS = 1_000;
const PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
export const SMOLDER_TCP_ATTEMPTS = PAUSES_MS.length + 1;

export interface TcpAttempt extends Endpoint {
  readonly passed: boolean;
}

/** Ends with the first attempt that connects, or after `attempts`. */
export async function tcpTest(
  { host, port }: Endpoint,
  attempts: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly TcpAttempt[]> {
  const made: TcpAttempt[] = [];
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (attempt > 0) await clock.sleep(PAUSES_MS[attempt - 1] ?? PAUSES_MS.at(-1) ?? 0, signal);
    signal.throwIfAborted();
    const passed = await canConnect(host, port, signal);
    made.push({ host, port, passed });
    if (passed) break;
  }
  return made;
}

export function canConnect(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, signal });
    const settle = (connected: boolean) => {
      socket.destroy();
      if (signal.aborted) reject(signal.reason);
      else resolve(connected);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
