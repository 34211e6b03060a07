/** For Prometheus. A registry of its own, so that two apps in one process do not count together. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { KilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';
import type { StreamParts } from './event-stream.ts';

/** A timer that runs as often as this for as long as the server lives: an idle server should not pay for it. */
const LAG_RESOLUTION_MS = 500;
const SCRAPE_LIMIT_MS = 5_000;
const BATCH = 1_000;

export class Metrics {
  readonly #parts: StreamParts;
  readonly #registry = new Registry();
  readonly #lag: ReturnType<typeof monitorEventLoopDelay>;
  readonly #requests: Histogram<'operation' | 'method' | 'status'>;
  readonly #events: Counter<'kind'>;
  /** Events up to here are counted; undefined until the first scrape, which counts from there. */
  #counted: Revision | undefined;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    const registers = [this.#registry];
    this.#lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
    this.#lag.enable();
    this.#requests = new Histogram({
      name: 'kiln_http_request_duration_seconds',
      help: 'From the request’s head to the answer’s head, by operation.',
      labelNames: ['operation', 'method', 'status'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60],
      registers,
    });
    this.#events = new Counter({
      name: 'kiln_events_total',
      help: 'Committed changes by kind, since the first scrape of this process.',
      labelNames: ['kind'],
      registers,
    });
    this.#gauges(registers);
  }

  observeRequest(operation: string, method: string, status: number, seconds: number): void {
    this.#requests.observe({ operation, method, status: `${Math.floor(status / 100)}xx` }, seconds);
  }

  async answer(): Promise<Response> {
    await this.#countEvents();
    const text = await this.#registry.metrics();
    this.#lag.reset();
    return new Response(text, { headers: { 'content-type': this.#registry.contentType } });
  }

  close(): void {
    this.#lag.disable();
  }

  #gauges(registers: Registry[]): void {
    const { services, store, streams, log } = this.#parts;
    const lag = this.#lag;
    const unobserved = new Counter({
      name: 'kiln_observation_failures_total',
      help: 'Scrapes for which the instances could not be observed.',
      registers,
    });
    const instances = new Gauge({
      name: 'kiln_instances',
      help: 'Instances by service and phase.',
      labelNames: ['component', 'environment', 'phase'],
      registers,
    });
    new Gauge({
      name: 'kiln_deployments_open',
      help: 'Deployments that have not ended, by state.',
      labelNames: ['state'],
      registers,
      async collect() {
        this.reset();
        instances.reset();
        for (const state of ['running', 'queued']) this.set({ state }, 0);
        const found = await services
          .list({}, AbortSignal.timeout(SCRAPE_LIMIT_MS))
          .catch((thrown: unknown) => {
            // The other figures are wanted all the more when a target cannot be observed.
            log.warn({ err: thrown }, 'instances could not be counted');
            unobserved.inc();
            return [];
          });
        for (const one of found) {
          if (one.deployment !== undefined) this.inc({ state: one.deployment.state });
          const { component, environment } = one;
          for (const { phase } of one.groups.flatMap((group) => group.instances))
            instances.inc({ component, environment, phase });
        }
      },
    });
    new Gauge({
      name: 'kiln_store_revision',
      help: 'Number of the newest committed change.',
      registers,
      async collect() {
        this.set(await store.events.revision());
      },
    });
    new Gauge({
      name: 'kiln_http_streams_open',
      help: 'Streams of events and logs that are open.',
      registers,
      collect() {
        this.set(streams.open);
      },
    });
    new Gauge({
      name: 'kiln_event_loop_lag_seconds',
      help: 'How late the event loop was since the last scrape: 99th percentile.',
      registers,
      collect() {
        const nanoseconds = lag.percentile(99);
        this.set(Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - LAG_RESOLUTION_MS / 1e3) : 0);
      },
    });
    new Gauge({
      name: 'kiln_resident_memory_bytes',
      help: 'Memory of the control process.',
      registers,
      collect() {
        this.set(process.memoryUsage.rss());
      },
    });
  }

  async #countEvents(): Promise<void> {
    const { events } = this.#parts.store;
    let from = this.#counted ?? (await events.revision());
    for (;;) {
      const batch = await events.after(from, BATCH).catch(async (error: unknown) => {
        if (!(error instanceof KilnError) || error.code !== 'events.pruned') throw error;
        // Nobody has asked for as long as events are kept: it counts on from here.
        from = await events.revision();
        return [];
      });
      for (const { kind, revision } of batch) {
        this.#events.inc({ kind });
        from = revision;
      }
      this.#counted = from;
      if (batch.length < BATCH) return;
    }
  }
}
