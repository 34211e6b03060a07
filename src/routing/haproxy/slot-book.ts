/** Which pool has which backend, kept on disk, and where the requests of each pool go. */
import type { ServiceKey } from '../../domain/ids.ts';
import type { ServiceTable } from '../../domain/routing.ts';
import type { HeldServer } from './held.ts';
import { type Homes, homesOf } from './homes.ts';
import { readSlots, writeSlots } from './slot-file.ts';
import { allocate, movedKey, newSlots, poolsOf, type Slot, serviceOf } from './slots.ts';

const DEFAULT_CHECK_TIMEOUT_MS = 2_000;

export class SlotBook {
  readonly #file: string;
  #slots: readonly Slot[] = [];
  #homes: Homes = new Map();

  constructor(file: string) {
    this.#file = file;
  }

  get slots(): readonly Slot[] {
    return this.#slots;
  }

  /** As the servers were when last looked at. */
  get homes(): Homes {
    return this.#homes;
  }

  async load(tables: readonly ServiceTable[]): Promise<void> {
    const slots = (await readSlots(this.#file)) ?? newSlots(0, DEFAULT_CHECK_TIMEOUT_MS);
    this.#slots = allocate(slots, tables.flatMap(poolsOf)).slots;
    this.#homes = homesOf(this.#slots, []);
    await writeSlots(this.#file, this.#slots);
  }

  /** Gives every pool of the table its slot; true: more than the running configuration has. */
  async take(table: ServiceTable): Promise<boolean> {
    const { slots, grew } = allocate(this.#slots, poolsOf(table));
    await this.#put(slots);
    return grew;
  }

  /** Finds out where requests go; `held`: every server of these backends. */
  look(held: readonly HeldServer[], backends: readonly string[]): void {
    const looked = new Set(backends);
    const known = homesOf(this.#slots, held);
    this.#homes = new Map(
      [...known].map(([pool, home]) => {
        const isLooked = looked.has(home.backend);
        return [pool, isLooked ? home : (this.#homes.get(pool) ?? home)];
      }),
    );
  }

  backendsOf(service: ServiceKey): readonly string[] {
    return this.#slots
      .filter((slot) => slot.pool !== undefined && serviceOf(slot) === service)
      .map((slot) => slot.backend);
  }

  /** The pool's own, and one that it moves from. */
  slotsOf(poolKey: string): readonly Slot[] {
    return this.#slots.filter((slot) => slot.pool === poolKey || slot.pool === movedKey(poolKey));
  }

  /** Every service that has a slot. */
  services(): readonly ServiceKey[] {
    return [...new Set(this.#slots.flatMap((slot) => (slot.pool === undefined ? [] : [serviceOf(slot)])))];
  }

  /** A backend of these services that no pool has any more is free once nothing is left in it. */
  async free(
    services: readonly ServiceKey[],
    tables: readonly ServiceTable[],
    busy: ReadonlySet<string>,
  ): Promise<void> {
    const wantedKeys = new Set(tables.flatMap(poolsOf).map((pool) => pool.key));
    const isIdle = (slot: Slot): boolean =>
      slot.pool !== undefined &&
      services.includes(serviceOf(slot)) &&
      !wantedKeys.has(slot.pool) &&
      !busy.has(slot.backend);
    if (!this.#slots.some(isIdle)) return;
    await this.#put(
      this.#slots.map((slot) =>
        isIdle(slot) ? { backend: slot.backend, checkTimeoutMs: slot.checkTimeoutMs } : slot,
      ),
    );
  }

  async #put(slots: readonly Slot[]): Promise<void> {
    const before = JSON.stringify(this.#slots);
    this.#slots = slots;
    // A new one serves from its slot: it has no other yet.
    this.#homes = new Map([...homesOf(slots, []), ...this.#homes]);
    if (JSON.stringify(slots) !== before) await writeSlots(this.#file, slots);
  }
}
