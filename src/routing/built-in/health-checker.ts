/**
 * Checks every endpoint of the table, so that the router itself knows who can serve.
 *
 * A new endpoint is checked every 25 ms, soon slower, until its first pass; then at its interval. Two failures
 * in a row take it out, and one refused connection does: nobody listens there. One pass takes it in.
 */
import http from 'node:http';
import type { RoutedEndpointState } from './endpoint.ts';
import type { EndpointWatch } from './live-table.ts';
import type { PoolState } from './pool.ts';

const FIRST_MS = 25;
const RECHECK_MS = 100;
const EAGER_CHECKS = 80;
const FAILURES_UNTIL_DOWN = 2;

type CheckResult = 'passed' | 'failed' | 'refused';

interface Watched {
  readonly pool: PoolState;
  timer: NodeJS.Timeout | undefined;
  checks: number;
  failures: number;
  abort: AbortController | undefined;
}

export class HealthChecker implements EndpointWatch {
  readonly #watched = new Map<RoutedEndpointState, Watched>();

  begin(endpoint: RoutedEndpointState, pool: PoolState): void {
    const watched: Watched = { pool, timer: undefined, checks: 0, failures: 0, abort: undefined };
    this.#watched.set(endpoint, watched);
    this.#schedule(endpoint, watched, 0);
  }

  end(endpoint: RoutedEndpointState): void {
    const watched = this.#watched.get(endpoint);
    if (watched === undefined) return;
    this.#watched.delete(endpoint);
    clearTimeout(watched.timer);
    watched.abort?.abort();
  }

  refused(endpoint: RoutedEndpointState): void {
    const watched = this.#watched.get(endpoint);
    if (watched === undefined || endpoint.health === 'down') return;
    endpoint.health = 'down';
    endpoint.closeIdle();
    if (watched.abort === undefined) this.#schedule(endpoint, watched, FIRST_MS);
  }

  close(): void {
    for (const endpoint of [...this.#watched.keys()]) this.end(endpoint);
  }

  #schedule(endpoint: RoutedEndpointState, watched: Watched, delayMs: number): void {
    clearTimeout(watched.timer);
    watched.timer = setTimeout(() => this.#check(endpoint, watched), delayMs);
  }

  #check(endpoint: RoutedEndpointState, watched: Watched): void {
    watched.abort = new AbortController();
    watched.checks++;
    checkOnce(endpoint, watched.abort.signal).then((result) => {
      watched.abort = undefined;
      if (this.#watched.get(endpoint) !== watched) return;
      this.#learn(endpoint, watched, result);
      this.#schedule(endpoint, watched, delayAfter(endpoint, watched));
    });
  }

  #learn(endpoint: RoutedEndpointState, watched: Watched, result: CheckResult): void {
    if (result === 'passed') {
      watched.failures = 0;
      const isNews = endpoint.health !== 'up';
      endpoint.health = 'up';
      if (isNews) watched.pool.wakeWaiting();
      return;
    }
    watched.failures++;
    if (endpoint.health === 'up' && (result === 'refused' || watched.failures >= FAILURES_UNTIL_DOWN)) {
      endpoint.health = 'down';
      endpoint.closeIdle();
    }
  }
}

function delayAfter(endpoint: RoutedEndpointState, watched: Watched): number {
  const { intervalMs } = endpoint.check;
  if (endpoint.health === 'up' && watched.failures === 0) return intervalMs;
  if (endpoint.health === 'unknown' && watched.checks < EAGER_CHECKS) return Math.min(FIRST_MS, intervalMs);
  return Math.min(RECHECK_MS, intervalMs);
}

/** One GET on a connection of its own, as a new client would come. Never rejects. */
function checkOnce({ address, check }: RoutedEndpointState, signal: AbortSignal): Promise<CheckResult> {
  return new Promise((resolve) => {
    const request = http.get({
      host: address.host,
      port: address.port,
      path: check.path,
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(check.timeoutMs)]),
      headers: { host: 'localhost', 'user-agent': 'kiln-health', connection: 'close' },
    });
    request.on('response', (response) => {
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400 ? 'passed' : 'failed');
      response.destroy();
    });
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'failed'),
    );
  });
}
