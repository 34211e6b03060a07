/**
 * Brings HAProxy's worker from what it holds to what the tables in force ask for. Each time it looks first, so that
 * it may be done again whenever something is awaited or was not finished.
 */
import { KilnError } from '../../domain/errors.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { changesFor } from './changes.ts';
import type { Drains } from './drains.ts';
import { type HeldServer, heldServers } from './held.ts';
import type { HaproxyInstance } from './instance.ts';
import { applyMaps, type MapsHeld } from './maps.ts';
import type { SlotBook } from './slot-book.ts';
import type { TablesInForce } from './tables-in-force.ts';
import { fullName, wantedMaps, wantedServers } from './wanted.ts';

export interface ConvergenceParts {
  readonly instance: HaproxyInstance;
  readonly tables: TablesInForce;
  readonly book: SlotBook;
  readonly drains: Drains;
  readonly clock: Clock;
}

/** What is still to come. */
export interface Reached {
  /** Servers that await their first passed check, and pools that wait for them to move. */
  readonly awaited: number;
  readonly leaving: number;
}

export class Convergence {
  readonly #parts: ConvergenceParts;
  #maps: MapsHeld | undefined;

  constructor(parts: ConvergenceParts) {
    this.#parts = parts;
  }

  /** The worker is another one: its maps are asked for again. */
  forgetMaps(): void {
    this.#maps = undefined;
  }

  async reach(services: readonly ServiceKey[]): Promise<Reached> {
    const { book, clock, drains, tables } = this.#parts;
    const backends = services.flatMap((service) => book.backendsOf(service));
    const held = await this.held(backends);
    book.look(held, backends);
    const { homes } = book;
    const wanted = services.flatMap((service) => {
      const table = tables.get(service);
      return table === undefined ? [] : wantedServers(table, homes);
    });
    const { arrivals, departures, awaited, leaving } = changesFor(held, wanted);
    // A path to check comes before the server that is checked; a route after the servers that it leads to, and
    // before those go that it led to.
    this.#maps = await applyMaps(this.#run, this.#maps, wantedMaps(tables.all(), homes), () =>
      this.#runAll(arrivals),
    );
    await this.#runAll(departures);
    const draining = new Set(wanted.filter((server) => server.draining).map(fullName));
    const going = [...leaving, ...held.filter((server) => draining.has(fullName(server)))];
    await drains.cutOverdue(held, going, clock.now());
    const busy = [...leaving, ...held.filter((server) => !server.isParked)].map((server) => server.backend);
    await book.free(services, tables.all(), new Set(busy));
    const moving = [...homes.values()].filter((home) => home.next !== undefined).length;
    return { awaited: awaited + moving, leaving: leaving.length + draining.size };
  }

  /** Undefined: of every backend. */
  async held(backends: readonly string[] | undefined): Promise<readonly HeldServer[]> {
    if (backends?.length === 0) return [];
    const lines = (backends ?? ['']).flatMap((backend) => [
      `show servers state ${backend}`.trim(),
      `show stat ${backend === '' ? '-1' : backend} 4 -1`,
    ]);
    const answers = await this.#run(lines);
    return answers.flatMap((answer, index) =>
      index % 2 === 0 ? heldServers(answer, answers[index + 1] ?? '') : [],
    );
  }

  readonly #run = (lines: readonly string[]): Promise<string[]> => this.#parts.instance.runtime.run(lines);

  /** What cannot be done yet is tried again when this is tidied; what is refused for good is an error. */
  async #runAll(commands: readonly string[]): Promise<void> {
    const answers = await this.#run(commands);
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
}
