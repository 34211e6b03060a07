/**
 * HAProxy as Kiln's router. Its configuration is written once, with free backends in store; from then on servers,
 * weights, drains and routes go over its runtime socket. It is reloaded only when backends run out (see slots.ts)
 * or the configuration itself is another, and everything is written out before.
 *
 * What must hold: a table is on disk before it is acknowledged; an old worker passes every new request on to the
 * one in charge (see configuration.ts), and what it still has in flight is counted; a server takes requests only
 * after a passed check of HAProxy's own.
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Router, RouterStatus } from '../../domain/ports/router.ts';
import type { Generation, ProbeAnswer, RouterObservation, ServiceTable } from '../../domain/routing.ts';
import { removeDrafts } from '../../files/durable-file.ts';
import { probeSecret, probeThrough } from '../probe.ts';
import type { RouterLog } from '../router-log.ts';
import { isUnreachable } from '../unreachable.ts';
import { Convergence, type Reached } from './convergence.ts';
import { Drains } from './drains.ts';
import { HaproxyInstance } from './instance.ts';
import { endpointsOf } from './observed.ts';
import { sessionsOnOldWorkers } from './old-workers.ts';
import { writeEverything } from './provision.ts';
import { SlotBook } from './slot-book.ts';
import { poolKey } from './slots.ts';
import { TablesInForce } from './tables-in-force.ts';
import { fullName, wantedMaps, wantedServers } from './wanted.ts';

export interface HaproxyRouterOptions {
  /** Name or path of the program. */
  readonly program: string;
  readonly stateDirectory: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly log: RouterLog;
}

/** How often a server that awaits its first check is looked at. */
const ADMIT_MS = 15;
/** How often what leaves is looked after, and weights follow health. */
const TIDY_MS = 200;
/** For a server that no table has any more, written into a reload's configuration to end what it has. */
const DEFAULT_INTERVAL_MS = 2_000;
const SOCKET_PATH_BYTES = 90;

export class HaproxyRouter implements Router {
  readonly #options: HaproxyRouterOptions;
  readonly #instance: HaproxyInstance;
  readonly #tables: TablesInForce;
  readonly #book: SlotBook;
  readonly #drains: Drains;
  readonly #convergence: Convergence;
  #secret = '';
  #isWatched = false;
  #timer: NodeJS.Timeout | undefined;
  /** Changes follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: HaproxyRouterOptions) {
    this.#options = options;
    this.#tables = new TablesInForce(path.join(options.stateDirectory, 'tables'));
    this.#book = new SlotBook(path.join(options.stateDirectory, 'slots.json'));
    this.#instance = new HaproxyInstance(options, () => this.#onLost());
    this.#drains = new Drains(this.#instance);
    this.#convergence = new Convergence({
      instance: this.#instance,
      tables: this.#tables,
      book: this.#book,
      drains: this.#drains,
      clock: options.clock,
    });
  }

  async start(signal: AbortSignal): Promise<void> {
    const { stateDirectory } = this.#options;
    if (Buffer.byteLength(stateDirectory) > SOCKET_PATH_BYTES) {
      throw new KilnError('input.invalid', `${stateDirectory} is too long for HAProxy’s sockets.`, {
        next: `Choose a state directory whose path is shorter than ${SOCKET_PATH_BYTES} bytes.`,
      });
    }
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    await removeDrafts(stateDirectory);
    this.#secret = await probeSecret(stateDirectory);
    await this.#remember();
    await this.#oneAtATime(() => this.#ensure(signal));
    this.#isWatched = true;
    this.#schedule(0);
  }

  async apply(table: ServiceTable, signal: AbortSignal): Promise<void> {
    await this.#oneAtATime(async () => {
      if (!this.#tables.admits(table)) return;
      const grew = await this.#book.take(table);
      await this.#tables.put(table);
      this.#allowDrains(table);
      if (grew) await this.#reload(signal);
      await this.#converge([table.service], signal);
    });
    this.#schedule(ADMIT_MS);
  }

  async withdraw(service: ServiceKey, generation: Generation, signal: AbortSignal): Promise<void> {
    await this.#oneAtATime(async () => {
      const { clock } = this.#options;
      if (!(await this.#tables.withdraw(service, generation, clock.now()))) return;
      await this.#converge([service], signal);
    });
    this.#schedule(ADMIT_MS);
  }

  async observe(service: ServiceKey, signal: AbortSignal): Promise<RouterObservation> {
    return this.#oneAtATime(async () => {
      await this.#ensureReachable(signal);
      const table = this.#tables.get(service);
      const wanted = table === undefined ? [] : wantedServers(table, this.#book.homes);
      const backends = this.#book.backendsOf(service);
      const held = await this.#convergence.held(backends);
      const oldSessions = await sessionsOnOldWorkers(this.#instance);
      const weights: Record<string, number> = {};
      for (const group of table?.pools.flatMap((pool) => pool.groups) ?? [])
        weights[group.group] = group.weight;
      return {
        service,
        weights,
        endpoints: endpointsOf(wanted, held, oldSessions, backends),
        ...(table === undefined ? {} : { generation: table.generation }),
      };
    });
  }

  async services(signal: AbortSignal): Promise<readonly ServiceKey[]> {
    return this.#oneAtATime(async () => {
      await this.#ensureReachable(signal);
      const backends = this.#book.services().flatMap((service) => this.#book.backendsOf(service));
      const held = await this.#convergence.held(backends);
      const busy = new Set(held.filter((server) => !server.isParked).map((server) => server.backend));
      const leaving = this.#book
        .services()
        .filter((service) => this.#book.backendsOf(service).some((backend) => busy.has(backend)));
      return [...new Set([...this.#tables.all().map((table) => table.service), ...leaving])];
    });
  }

  async probe(host: string, requestPath: string, signal: AbortSignal): Promise<ProbeAnswer> {
    const { listen } = this.#options;
    const answer = await probeThrough({ listen, secret: this.#secret, host, path: requestPath }, signal);
    return answer.instance === undefined
      ? answer
      : { ...answer, instance: this.#tables.realName(answer.instance) };
  }

  async status(signal: AbortSignal): Promise<RouterStatus> {
    signal.throwIfAborted();
    const { listen } = this.#options;
    const processes = await this.#oneAtATime(() => this.#instance.processes());
    const common = { driver: 'haproxy', listen: `${listen.host}:${listen.port}` };
    if (processes?.workerPid === undefined)
      return { ...common, reachable: false, detail: 'HAProxy does not run' };
    const free = this.#book.slots.filter((slot) => slot.pool === undefined).length;
    const old = processes.oldWorkerPids.length === 0 ? '' : `, ${processes.oldWorkerPids.length} old workers`;
    const detail = `master ${processes.masterPid}, worker ${processes.workerPid}${old}, ${free} free backends`;
    return { ...common, reachable: true, detail };
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopWatching();
    await this.#oneAtATime(async () => {
      this.#instance.runtime.disconnect();
      await this.#instance.stop(signal);
    });
  }

  async close(): Promise<void> {
    this.#stopWatching();
    await this.#last.catch(() => undefined); // its caller was told
    this.#instance.runtime.disconnect();
  }

  /** What the last server left on disk. */
  async #remember(): Promise<void> {
    const damaged = await this.#tables.load(this.#options.clock.now());
    if (damaged.length > 0) this.#options.log.warn({ damaged }, 'some saved routing tables cannot be read');
    await this.#book.load(this.#tables.all());
    for (const table of this.#tables.all()) this.#allowDrains(table);
  }

  #allowDrains(table: ServiceTable): void {
    for (const pool of table.pools) {
      const key = poolKey(table.service, pool.process);
      for (const slot of this.#book.slotsOf(key)) this.#drains.allow(slot.backend, pool.drainMs);
    }
  }

  /** Runs, with this configuration and every table in force, when it resolves. */
  async #ensure(signal: AbortSignal): Promise<void> {
    this.#convergence.forgetMaps();
    const processes = await this.#instance.processes();
    if (processes?.workerPid === undefined) await this.#launch(signal);
    else if ((await this.#instance.identity()) !== this.#written().identity) await this.#reload(signal);
    await this.#converge(this.#tables.services(), signal);
  }

  async #ensureReachable(signal: AbortSignal): Promise<void> {
    try {
      await this.#instance.identity();
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      await this.#ensure(signal);
    }
  }

  #written() {
    const { listen } = this.#options;
    return writeEverything({
      listen,
      slots: this.#book.slots,
      maps: wantedMaps(this.#tables.all(), this.#book.homes),
    });
  }

  /** A fresh start begins without servers: they are added, checked and only then admitted. */
  async #launch(signal: AbortSignal): Promise<void> {
    const { identity } = await this.#written().to(this.#instance, [], '', signal);
    await this.#instance.launch(identity, signal);
    this.#options.log.info({ listen: this.#options.listen }, 'HAProxy was started');
  }

  /** The new worker begins with every server as it is now, healthy ones healthy. */
  async #reload(signal: AbortSignal): Promise<void> {
    const backends = this.#book.slots.map((slot) => slot.backend);
    const [state = ''] = await this.#instance.runtime.run(['show servers state']);
    const known = new Set(backends);
    const held = (await this.#convergence.held(undefined)).filter(
      (server) => known.has(server.backend) && !server.isParked,
    );
    this.#book.look(held, backends);
    const wanted = this.#tables.all().flatMap((table) => wantedServers(table, this.#book.homes));
    const intervalsMs = new Map(wanted.map((server) => [fullName(server), server.intervalMs]));
    const configured = held.map((server) => ({
      ...server,
      intervalMs: intervalsMs.get(fullName(server)) ?? DEFAULT_INTERVAL_MS,
    }));
    const { identity } = await this.#written().to(this.#instance, configured, state, signal);
    this.#convergence.forgetMaps();
    await this.#instance.reload(identity, signal);
    this.#options.log.info({ backends: backends.length }, 'HAProxy was reloaded');
  }

  /** Brings these services from what HAProxy holds to what is wanted. */
  async #converge(services: readonly ServiceKey[], signal: AbortSignal): Promise<Reached> {
    try {
      return await this.#convergence.reach(services);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      await this.#ensure(signal);
      return this.#convergence.reach(services);
    }
  }

  #oneAtATime<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work, work);
    this.#last = result;
    // Told to who asked; the next one begins all the same.
    result.catch(() => undefined);
    return result;
  }

  /** Admits what has passed its first check, and looks after what leaves, as long as there is any of it. */
  #schedule(delayMs: number): void {
    if (!this.#isWatched) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#tidy(), delayMs);
    if (delayMs >= TIDY_MS) this.#timer.unref();
  }

  async #tidy(): Promise<void> {
    let nextMs = TIDY_MS * 10;
    try {
      const { awaited, leaving } = await this.#oneAtATime(() => {
        const tables = this.#tables.all().map((table) => table.service);
        const services = new Set([...tables, ...this.#book.services()]);
        return this.#converge([...services], AbortSignal.timeout(30_000));
      });
      if (awaited > 0) nextMs = ADMIT_MS;
      else if (leaving > 0) nextMs = TIDY_MS;
    } catch (thrown) {
      nextMs = TIDY_MS;
      this.#options.log.warn({ why: asKilnError(thrown).message }, 'HAProxy could not be brought up to date');
    }
    this.#schedule(nextMs);
  }

  #onLost(): void {
    if (!this.#isWatched) return;
    this.#options.log.warn({}, 'HAProxy is looked after: its connection closed');
    this.#schedule(0);
  }

  #stopWatching(): void {
    this.#isWatched = false;
    clearTimeout(this.#timer);
  }
}
