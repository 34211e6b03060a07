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
import type { InstanceId, ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { Router, RouterStatus } from '../../domain/ports/router.ts';
import {
  compareGenerations,
  type Generation,
  type ProbeAnswer,
  type RouterObservation,
  type ServiceTable,
} from '../../domain/routing.ts';
import { hostOf } from '../match.ts';
import { probeSecret, probeThrough } from '../probe.ts';
import type { RouterLog } from '../router-log.ts';
import { SavedTables } from '../saved-tables.ts';
import { changesFor } from './changes.ts';
import { type HeldServer, heldServers, sessionsByServer, sessionsWith } from './held.ts';
import { HaproxyInstance } from './instance.ts';
import { applyMaps, type MapsHeld } from './maps.ts';
import { endpointsOf } from './observed.ts';
import { writeEverything } from './provision.ts';
import { readSlots, writeSlots } from './slot-file.ts';
import { allocate, newSlots, poolKey, type Slot } from './slots.ts';
import { fullName, instanceOf, serverName, type WantedServer, wantedMaps, wantedServers } from './wanted.ts';

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
const DEFAULT_CHECK_TIMEOUT_MS = 2_000;
const SOCKET_PATH_BYTES = 90;

export class HaproxyRouter implements Router {
  readonly #options: HaproxyRouterOptions;
  readonly #instance: HaproxyInstance;
  readonly #saved: SavedTables;
  readonly #tables = new Map<ServiceKey, ServiceTable>();
  readonly #withdrawn = new Map<ServiceKey, Generation>();
  /** When what is in flight on a leaving or draining server is cut, by full name. */
  readonly #cutAtMs = new Map<string, number>();
  readonly #drainMs = new Map<string, number>();
  #slots: readonly Slot[] = [];
  #maps: MapsHeld | undefined;
  #secret = '';
  #isWatched = false;
  #timer: NodeJS.Timeout | undefined;
  /** Changes follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: HaproxyRouterOptions) {
    this.#options = options;
    this.#saved = new SavedTables(path.join(options.stateDirectory, 'tables'));
    this.#instance = new HaproxyInstance(options, () => this.#onLost());
  }

  async start(signal: AbortSignal): Promise<void> {
    const { stateDirectory } = this.#options;
    if (Buffer.byteLength(stateDirectory) > SOCKET_PATH_BYTES) {
      throw new KilnError('input.invalid', `${stateDirectory} is too long for HAProxy’s sockets.`, {
        next: `Choose a state directory whose path is shorter than ${SOCKET_PATH_BYTES} bytes.`,
      });
    }
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    this.#secret = await probeSecret(stateDirectory);
    await this.#remember();
    await this.#oneAtATime(() => this.#ensure(signal));
    this.#isWatched = true;
    this.#schedule(0);
  }

  async apply(table: ServiceTable, signal: AbortSignal): Promise<void> {
    await this.#oneAtATime(async () => {
      if (!this.#isNewer(table.service, table.generation)) return;
      this.#refuseTakenRoutes(table);
      const { slots, grew } = allocate(this.#slots, poolsOf(table));
      await this.#putSlots(slots);
      await this.#saved.put({ kind: 'table', table });
      this.#tables.set(table.service, table);
      this.#withdrawn.delete(table.service);
      for (const pool of table.pools) {
        const slot = slots.find((each) => each.pool === poolKey(table.service, pool.process));
        if (slot !== undefined) this.#drainMs.set(slot.backend, pool.drainMs);
      }
      if (grew) await this.#reload(signal);
      await this.#converge([table.service], signal);
    });
    this.#schedule(ADMIT_MS);
  }

  async withdraw(service: ServiceKey, generation: Generation, signal: AbortSignal): Promise<void> {
    await this.#oneAtATime(async () => {
      const held = this.#heldGeneration(service);
      if (held === undefined) return;
      if (compareGenerations(generation, held) < 0) throw stale(service, generation, held);
      await this.#saved.put({ kind: 'withdrawn', service, generation, atMs: this.#options.clock.now() });
      this.#tables.delete(service);
      this.#withdrawn.set(service, generation);
      await this.#converge([service], signal);
    });
    this.#schedule(ADMIT_MS);
  }

  async observe(service: ServiceKey, signal: AbortSignal): Promise<RouterObservation> {
    return this.#oneAtATime(async () => {
      await this.#ensureReachable(signal);
      const table = this.#tables.get(service);
      const wanted = table === undefined ? [] : wantedServers(table, this.#slots);
      const backends = this.#backendsOf(service);
      const held = await this.#held(backends);
      const oldSessions = await this.#sessionsOnOldWorkers();
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
      const held = await this.#held(
        this.#slots.filter((slot) => slot.pool !== undefined).map((slot) => slot.backend),
      );
      const busy = new Set(held.filter((server) => !server.isParked).map((server) => server.backend));
      const leaving = this.#slots
        .filter((slot) => slot.pool !== undefined && busy.has(slot.backend))
        .map((slot) => serviceOf(slot));
      return [...new Set([...this.#tables.keys(), ...leaving])];
    });
  }

  async probe(host: string, requestPath: string, signal: AbortSignal): Promise<ProbeAnswer> {
    const { listen } = this.#options;
    const answer = await probeThrough({ listen, secret: this.#secret, host, path: requestPath }, signal);
    return answer.instance === undefined ? answer : { ...answer, instance: this.#realName(answer.instance) };
  }

  async status(signal: AbortSignal): Promise<RouterStatus> {
    signal.throwIfAborted();
    const { listen } = this.#options;
    const processes = await this.#oneAtATime(() => this.#instance.processes());
    const common = { driver: 'haproxy', listen: `${listen.host}:${listen.port}` };
    if (processes?.workerPid === undefined)
      return { ...common, reachable: false, detail: 'HAProxy does not run' };
    const free = this.#slots.filter((slot) => slot.pool === undefined).length;
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
    const { saved, damaged } = await this.#saved.load(this.#options.clock.now());
    if (damaged.length > 0) this.#options.log.warn({ damaged }, 'some saved routing tables cannot be read');
    for (const each of saved) {
      if (each.kind === 'table') this.#tables.set(each.table.service, each.table);
      else this.#withdrawn.set(each.service, each.generation);
    }
    const slots = (await readSlots(this.#slotFile)) ?? newSlots(0, DEFAULT_CHECK_TIMEOUT_MS);
    this.#slots = allocate(slots, [...this.#tables.values()].flatMap(poolsOf)).slots;
    await writeSlots(this.#slotFile, this.#slots);
  }

  get #slotFile(): string {
    return path.join(this.#options.stateDirectory, 'slots.json');
  }

  /** Runs, with this configuration and every table in force, when it resolves. */
  async #ensure(signal: AbortSignal): Promise<void> {
    this.#maps = undefined;
    const processes = await this.#instance.processes();
    if (processes?.workerPid === undefined) await this.#launch(signal);
    else if ((await this.#instance.identity()) !== this.#written().identity) await this.#reload(signal);
    await this.#converge([...this.#tables.keys(), ...this.#withdrawn.keys()], signal);
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
      slots: this.#slots,
      maps: wantedMaps(this.#tables.values(), this.#slots),
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
    const backends = this.#slots.map((slot) => slot.backend);
    const [state = ''] = await this.#instance.runtime.run(['show servers state']);
    const known = new Set(backends);
    const held = (await this.#held(undefined)).filter(
      (server) => known.has(server.backend) && !server.isParked,
    );
    const configured = held.map((server) => ({ ...server, intervalMs: this.#intervalMs(server.backend) }));
    const { identity } = await this.#written().to(this.#instance, configured, state, signal);
    this.#maps = undefined;
    await this.#instance.reload(identity, signal);
    this.#options.log.info({ backends: backends.length }, 'HAProxy was reloaded');
  }

  #intervalMs(backend: string): number {
    const slot = this.#slots.find((each) => each.backend === backend);
    for (const table of this.#tables.values()) {
      for (const pool of table.pools) {
        if (poolKey(table.service, pool.process) === slot?.pool) return pool.health.intervalMs;
      }
    }
    return DEFAULT_CHECK_TIMEOUT_MS;
  }

  /** Brings these services from what HAProxy holds to what is wanted. */
  async #converge(
    services: readonly ServiceKey[],
    signal: AbortSignal,
  ): Promise<{ awaited: number; leaving: number }> {
    try {
      return await this.#convergeOnce(services);
    } catch (thrown) {
      if (!isUnreachable(thrown)) throw thrown;
      await this.#ensure(signal);
      return this.#convergeOnce(services);
    }
  }

  async #convergeOnce(services: readonly ServiceKey[]): Promise<{ awaited: number; leaving: number }> {
    const backends = services.flatMap((service) => this.#backendsOf(service));
    const wanted = services.flatMap((service) => {
      const table = this.#tables.get(service);
      return table === undefined ? [] : wantedServers(table, this.#slots);
    });
    const held = await this.#held(backends);
    const { commands, awaited, leaving } = changesFor(held, wanted);
    const maps = wantedMaps(this.#tables.values(), this.#slots);
    const run = (lines: readonly string[]) => this.#instance.runtime.run(lines);
    // A path to check comes before the server that is checked; a route after the servers it leads to.
    this.#maps = await applyMaps(run, this.#maps, maps, async () => {
      await this.#runAll(commands);
    });
    await this.#cutOverdue(held, wanted, leaving);
    await this.#freeSlots(services, held, leaving);
    return { awaited, leaving: leaving.length + wanted.filter((server) => server.draining).length };
  }

  /** What cannot be done yet is tried again when this is tidied; what is refused for good is an error. */
  async #runAll(commands: readonly string[]): Promise<void> {
    const answers = await this.#instance.runtime.run(commands);
    for (const [index, answer] of answers.entries()) {
      const command = commands[index] ?? '';
      const isFine =
        answer === '' ||
        command.startsWith('del server') ||
        /registered|deleted|Already exists/i.test(answer);
      if (isFine) continue;
      throw new KilnError('router.rejected', `HAProxy refused "${command}": ${answer}`, { retryable: true });
    }
  }

  async #held(backends: readonly string[] | undefined): Promise<readonly HeldServer[]> {
    if (backends?.length === 0) return [];
    const lines = (backends ?? ['']).flatMap((backend) => [
      `show servers state ${backend}`.trim(),
      `show stat ${backend === '' ? '-1' : backend} 4 -1`,
    ]);
    const answers = await this.#instance.runtime.run(lines);
    return answers.flatMap((answer, index) =>
      index % 2 === 0 ? heldServers(answer, answers[index + 1] ?? '') : [],
    );
  }

  /** Old workers take no commands for servers, but for sessions. */
  async #cutOnOldWorkers(name: string): Promise<void> {
    const processes = await this.#instance.processes();
    for (const pid of processes?.oldWorkerPids ?? []) {
      // One that just ended has none.
      const text = await this.#instance.onOldWorker(pid, 'show sess').catch(() => '');
      for (const session of sessionsWith(text, name)) {
        await this.#instance.onOldWorker(pid, `shutdown session ${session}`).catch(() => '');
      }
    }
  }

  async #sessionsOnOldWorkers(): Promise<ReadonlyMap<string, number>> {
    const sums = new Map<string, number>();
    const processes = await this.#instance.processes();
    for (const pid of processes?.oldWorkerPids ?? []) {
      // One that just ended has none.
      const text = await this.#instance.onOldWorker(pid, 'show stat -1 4 -1').catch(() => '');
      for (const [name, count] of sessionsByServer(text)) sums.set(name, (sums.get(name) ?? 0) + count);
    }
    return sums;
  }

  async #cutOverdue(
    held: readonly HeldServer[],
    wanted: readonly WantedServer[],
    leaving: readonly HeldServer[],
  ): Promise<void> {
    const nowMs = this.#options.clock.now();
    const draining = new Set(wanted.filter((server) => server.draining).map((server) => fullName(server)));
    const going = [...leaving, ...held.filter((server) => draining.has(fullName(server)))];
    const names = new Set(going.map(fullName));
    for (const server of held) {
      if (!names.has(fullName(server))) this.#cutAtMs.delete(fullName(server));
    }
    for (const server of going) {
      const name = fullName(server);
      const cutAtMs = this.#cutAtMs.get(name) ?? nowMs + (this.#drainMs.get(server.backend) ?? 0);
      this.#cutAtMs.set(name, cutAtMs);
      if (nowMs < cutAtMs) continue;
      const command = `shutdown sessions server ${name}`;
      if (server.sessions > 0) await this.#instance.runtime.run([command]);
      await this.#cutOnOldWorkers(name);
    }
  }

  /** A backend that no pool has any more is free once nothing is left in it. */
  async #freeSlots(
    services: readonly ServiceKey[],
    held: readonly HeldServer[],
    leaving: readonly HeldServer[],
  ): Promise<void> {
    const wantedKeys = new Set([...this.#tables.values()].flatMap(poolsOf).map((pool) => pool.key));
    const busy = new Set(
      [...leaving, ...held.filter((server) => !server.isParked)].map((server) => server.backend),
    );
    const idle = this.#slots.filter(
      (slot) =>
        slot.pool !== undefined &&
        services.includes(serviceOf(slot)) &&
        !wantedKeys.has(slot.pool) &&
        !busy.has(slot.backend),
    );
    if (idle.length === 0) return;
    const backends = new Set(idle.map((slot) => slot.backend));
    await this.#putSlots(
      this.#slots.map((slot) =>
        backends.has(slot.backend) ? { backend: slot.backend, checkTimeoutMs: slot.checkTimeoutMs } : slot,
      ),
    );
  }

  async #putSlots(slots: readonly Slot[]): Promise<void> {
    const before = JSON.stringify(this.#slots);
    this.#slots = slots;
    if (JSON.stringify(slots) !== before) await writeSlots(this.#slotFile, slots);
  }

  #backendsOf(service: ServiceKey): readonly string[] {
    return this.#slots
      .filter((slot) => slot.pool !== undefined && serviceOf(slot) === service)
      .map((slot) => slot.backend);
  }

  #heldGeneration(service: ServiceKey): Generation | undefined {
    return this.#tables.get(service)?.generation ?? this.#withdrawn.get(service);
  }

  #isNewer(service: ServiceKey, generation: Generation): boolean {
    const held = this.#heldGeneration(service);
    if (held === undefined) return true;
    const order = compareGenerations(generation, held);
    if (order < 0) throw stale(service, generation, held);
    return order > 0;
  }

  #refuseTakenRoutes(table: ServiceTable): void {
    for (const route of table.routes) {
      for (const other of this.#tables.values()) {
        const isTaken =
          other.service !== table.service &&
          other.routes.some((each) => hostOf(each.host) === hostOf(route.host) && each.path === route.path);
        if (!isTaken) continue;
        throw new KilnError('route.conflict', `${other.service} has the route ${route.host}${route.path}.`, {
          next: `Take the route from ${other.service} first, or choose another host or path.`,
          retryable: true,
        });
      }
    }
  }

  /** HAProxy's names of servers hold fewer characters than an instance's may. */
  #realName(answered: InstanceId): InstanceId {
    for (const table of this.#tables.values()) {
      for (const group of table.pools.flatMap((pool) => pool.groups)) {
        const endpoint = group.endpoints.find((each) => instanceOf(serverName(each)) === answered);
        if (endpoint !== undefined) return endpoint.instance;
      }
    }
    return answered;
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
        const services = new Set([
          ...this.#tables.keys(),
          ...this.#slots.flatMap((slot) => (slot.pool === undefined ? [] : [serviceOf(slot)])),
        ]);
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

function poolsOf(table: ServiceTable): { key: string; checkTimeoutMs: number }[] {
  return table.pools.map((pool) => ({
    key: poolKey(table.service, pool.process),
    checkTimeoutMs: Math.max(1, Math.round(pool.health.timeoutMs)),
  }));
}

function serviceOf(slot: Slot): ServiceKey {
  const pool = slot.pool ?? '';
  return pool.slice(0, pool.indexOf('#')) as ServiceKey;
}

function isUnreachable(thrown: unknown): boolean {
  return thrown instanceof KilnError && thrown.code === 'router.unreachable';
}

function stale(service: ServiceKey, asked: Generation, held: Generation): KilnError {
  return new KilnError(
    'fence.stale',
    `The router holds generation ${held.fence}.${held.sequence} of ${service}; ${asked.fence}.${asked.sequence} is older.`,
    { next: 'Let the owner of the newer lease go on.' },
  );
}
