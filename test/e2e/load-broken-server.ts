/**
 * The server with its drain broken on purpose: what it is told of requests in flight is always "none", so that
 * instances are stopped in the middle of what they answer. Shows that the load test would notice.
 */
import path from 'node:path';
import { pino } from 'pino';
import type { Router } from '../../src/domain/ports/router.ts';
import { startServer } from '../../src/server.ts';
import { loadSettings } from '../../src/settings.ts';
import { ROOT } from './kiln.ts';

function blindToRequests(router: Router): Router {
  return {
    start: (signal) => router.start(signal),
    apply: (table, signal) => router.apply(table, signal),
    withdraw: (service, generation, signal) => router.withdraw(service, generation, signal),
    services: (signal) => router.services(signal),
    probe: (host, requestPath, signal) => router.probe(host, requestPath, signal),
    status: (signal) => router.status(signal),
    stop: (signal) => router.stop(signal),
    close: () => router.close(),
    observe: async (service, signal) => {
      const seen = await router.observe(service, signal);
      return { ...seen, endpoints: seen.endpoints.map((one) => ({ ...one, inFlight: 0 })) };
    },
  };
}

const entries = {
  node: process.execPath,
  router: path.join(ROOT, 'src/routing/built-in/main.ts'),
  baker: path.join(ROOT, 'src/bakery/bundle/baker-main.ts'),
  bakeWorker: path.join(ROOT, 'src/bakery/bundle/worker.ts'),
  storeReader: path.join(ROOT, 'src/store/sqlite/reader.ts'),
  itemThread: path.join(ROOT, 'src/pipeline/items/item-thread.ts'),
  page: path.join(ROOT, 'dist/current/page'),
  version: '0.0.0-broken',
  build: '0-broken',
};

const server = await startServer(loadSettings({}, process.env), entries, pino({ level: 'silent' }), {
  router: blindToRequests,
});
const signalled = new Promise<void>((resolve) => {
  process.once('SIGTERM', () => resolve());
});
await Promise.race([signalled, server.asked]);
await server.close();
process.exit(0);
