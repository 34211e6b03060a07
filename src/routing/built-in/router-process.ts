/**
 * The router as one process: listener, table, checks, control.
 *
 *   serving → handing-over → retired → gone      a successor took the listening socket
 *           → gone                               asked to stop, or killed
 *
 * What must hold: a change is acknowledged once it is in force for every new request, here and in every
 * predecessor that still has connections, and is on disk; a retired router writes nothing any more.
 */
import { mkdir, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Generation, ServiceTable } from '../../domain/routing.ts';
import { isSecret, probeSecret } from '../probe.ts';
import { SavedTables } from '../saved-tables.ts';
import { ControlServer } from './control-server.ts';
import type { Forwarding } from './forwarding.ts';
import { handOver } from './handover.ts';
import { HealthChecker } from './health-checker.ts';
import type { Limits } from './limits.ts';
import { type ListenAddress, Listener } from './listener.ts';
import { LiveTable } from './live-table.ts';
import type { PoolState } from './pool.ts';
import { Predecessors, predecessorSocket } from './predecessors.ts';
import {
  CONTROL_SOCKET,
  type ControlRequest,
  type Handover,
  type Hello,
  PROTOCOL_VERSION,
} from './protocol.ts';

export interface RouterProcessOptions {
  readonly stateDirectory: string;
  readonly build: string;
  readonly limits: Limits;
  log(event: string, fields: Readonly<Record<string, unknown>>): void;
  /** Called when nothing is left to do. */
  exit(): void;
}

const RETIRED_POLL_MS = 100;

export class RouterProcess {
  readonly #options: RouterProcessOptions;
  readonly #checker = new HealthChecker();
  readonly #table = new LiveTable(this.#checker);
  readonly #saved: SavedTables;
  readonly #predecessors = new Predecessors();
  readonly #listener: Listener;
  readonly #startedAtMs = performance.now();
  #control: ControlServer;
  #damaged: readonly string[] = [];
  #mode: 'serving' | 'handing-over' | 'retired' = 'serving';

  private constructor(options: RouterProcessOptions, secret: string, listen: ListenAddress) {
    this.#options = options;
    this.#saved = new SavedTables(path.join(options.stateDirectory, 'tables'));
    this.#control = this.#newControl();
    const forwarding: Forwarding = {
      table: this.#table,
      limits: options.limits,
      listenPort: listen.port,
      isProbe: (value) => isSecret(value, secret),
      holdMs: (pool) => this.#holdMs(pool),
      now: () => performance.now(),
    };
    this.#listener = new Listener(forwarding, (thrown) => options.log('fault', describe(thrown)));
  }

  /** Starts with the tables on disk. Fails with `listen.taken`. */
  static async start(options: RouterProcessOptions, listen: ListenAddress): Promise<RouterProcess> {
    await mkdir(options.stateDirectory, { recursive: true, mode: 0o700 });
    const router = new RouterProcess(options, await probeSecret(options.stateDirectory), listen);
    // First the port: whoever has it is the router of this state directory. Requests wait for the tables.
    await router.#listener.listen(listen);
    await router.#restore();
    router.#listener.open();
    await router.#predecessors.find(options.stateDirectory, '');
    await router.takeControl();
    return router;
  }

  /** Gets ready with what a predecessor gave. Its socket and control follow, with `listenOn` and `takeControl`. */
  static async succeed(
    options: RouterProcessOptions,
    given: Handover,
    listen: ListenAddress,
  ): Promise<RouterProcess> {
    const router = new RouterProcess(options, await probeSecret(options.stateDirectory), listen);
    await router.#saved.load(Date.now());
    for (const table of given.tables) router.#table.apply(table);
    for (const { service, generation } of given.withdrawn)
      router.#table.rememberWithdrawn(service, generation);
    router.#table.adoptHealth(given.health);
    await router.#predecessors.find(options.stateDirectory, '');
    return router;
  }

  /** Takes connections from this very moment on. */
  listenOn(server: Server): Promise<void> {
    this.#listener.open();
    return this.#listener.listen(server);
  }

  async takeControl(): Promise<void> {
    await this.#control.listen(path.join(this.#options.stateDirectory, CONTROL_SOCKET));
    this.#options.log('serving', { listen: this.#listener.address, build: this.#options.build });
  }

  get handover(): Handover {
    return {
      kind: 'tables',
      tables: [...this.#table.tables()],
      withdrawn: [...this.#table.withdrawn()],
      health: [...this.#table.health()],
    };
  }

  async #restore(): Promise<void> {
    const { saved, damaged } = await this.#saved.load(Date.now());
    this.#damaged = damaged;
    for (const each of saved) {
      if (each.kind === 'table') this.#table.apply(each.table);
      else this.#table.rememberWithdrawn(each.service, each.generation);
    }
    if (damaged.length > 0) this.#options.log('damaged-tables', { damaged });
  }

  #newControl(): ControlServer {
    return new ControlServer((request) => this.#serve(request));
  }

  async #serve(request: ControlRequest): Promise<unknown> {
    switch (request.op) {
      case 'hello':
        return this.#hello();
      case 'apply':
        return this.#apply(request.table);
      case 'withdraw':
        return this.#withdraw(request.service, request.generation);
      case 'observe':
        return this.#predecessors.observe(this.#table.observe(request.service));
      case 'services':
        return [...new Set([...this.#table.services(), ...(await this.#predecessors.services())])];
      case 'upgrade':
        return this.#upgrade(request);
      case 'stop':
        return this.#stop();
    }
  }

  #hello(): Hello {
    return {
      protocol: PROTOCOL_VERSION,
      build: this.#options.build,
      pid: process.pid,
      listen: this.#mode === 'retired' ? { host: '', port: 0 } : this.#listener.address,
      connections: this.#listener.connections,
      inFlight: this.#table.inFlight,
      damaged: [...this.#damaged],
    };
  }

  async #apply(table: ServiceTable): Promise<void> {
    this.#refuseWhileHandingOver();
    this.#table.apply(table);
    await this.#predecessors.tell({ op: 'apply', table });
    if (this.#mode !== 'retired') await this.#saved.put({ kind: 'table', table });
  }

  async #withdraw(service: ServiceKey, generation: Generation): Promise<void> {
    this.#refuseWhileHandingOver();
    this.#table.withdraw(service, generation);
    await this.#predecessors.tell({ op: 'withdraw', service, generation });
    if (this.#mode === 'retired') return;
    await this.#saved.put({ kind: 'withdrawn', service, generation, atMs: Date.now() });
  }

  #refuseWhileHandingOver(): void {
    if (this.#mode !== 'handing-over') return;
    throw new KilnError('router.unreachable', 'The router is handing over to its successor.', {
      next: 'Try again in a moment.',
      retryable: true,
    });
  }

  async #upgrade(request: Extract<ControlRequest, { op: 'upgrade' }>): Promise<void> {
    this.#refuseWhileHandingOver();
    const { stateDirectory, log } = this.#options;
    this.#mode = 'handing-over';
    const own = predecessorSocket(stateDirectory, process.pid);
    const asPredecessor = this.#newControl();
    let hasLeftControl = false;
    try {
      await asPredecessor.listen(own);
      await handOver(
        { ...request, stateDirectory, listen: this.#listener.address },
        {
          handover: this.handover,
          server: this.#listener.server,
          leaveControl: () => {
            hasLeftControl = true;
            this.#control.retire();
          },
        },
      );
    } catch (thrown) {
      asPredecessor.close();
      this.#mode = 'serving';
      if (hasLeftControl) {
        this.#control = this.#newControl();
        await this.takeControl();
      }
      throw thrown;
    }
    this.#mode = 'retired';
    this.#listener.retire();
    log('handed-over', { build: request.build, connections: this.#listener.connections });
    this.#leaveWhenQuiet(own, asPredecessor);
  }

  #leaveWhenQuiet(own: string, asPredecessor: ControlServer): void {
    const untilMs = performance.now() + this.#options.limits.handoverGraceMs;
    const poll = setInterval(() => {
      const isQuiet = this.#listener.connections === 0 && this.#table.inFlight === 0;
      if (!isQuiet && performance.now() < untilMs) return;
      clearInterval(poll);
      asPredecessor.close();
      rm(own, { force: true }).then(
        () => this.#leave(),
        (thrown) => {
          this.#options.log('fault', describe(thrown));
          this.#leave();
        },
      );
    }, RETIRED_POLL_MS);
  }

  async #stop(): Promise<void> {
    this.#options.log('stopping', {});
    await this.#predecessors.tell({ op: 'stop' });
    // The answer goes out first.
    setTimeout(() => this.#leave(), 20);
  }

  #leave(): void {
    this.#control.close();
    this.#listener.close();
    this.#checker.close();
    this.#predecessors.close();
    this.#options.exit();
  }

  /** Right after a start nothing is known to be healthy yet, which is no reason to refuse a request. */
  #holdMs(pool: PoolState): number {
    const sinceStartMs = performance.now() - this.#startedAtMs;
    const firstCheckMs = pool.awaitsFirstCheck ? this.#options.limits.firstCheckMs - sinceStartMs : 0;
    return Math.max(pool.holdMs, firstCheckMs);
  }
}

export function describe(thrown: unknown): Record<string, unknown> {
  if (!(thrown instanceof Error)) return { message: String(thrown) };
  return { message: thrown.message, stack: thrown.stack };
}
