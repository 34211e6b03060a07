/**
 * Backends are provisioned in the configuration before anything needs them, for HAProxy's runtime API can add
 * servers but no backends. A pool of a service takes a free one, its slot, and keeps it until it is withdrawn.
 * All slots are alike but for the time that a health check may take, which only the configuration can set; so
 * slots come in kinds by that time. A kind that runs out costs one reload, which provisions more.
 */
import type { ServiceKey } from '../../domain/ids.ts';
import type { ServiceTable } from '../../domain/routing.ts';

export interface Slot {
  /** `kiln-b0001`. */
  readonly backend: string;
  readonly checkTimeoutMs: number;
  /** `service/process` that has it. */
  readonly pool?: string;
}

/** How many free slots of a kind a new configuration holds at least. */
export const SPARE_SLOTS = 32;

export function poolKey(service: ServiceKey, process: string): string {
  return `${service}#${process}`;
}

export function serviceOf(slot: Slot): ServiceKey {
  const pool = slot.pool ?? '';
  return pool.slice(0, pool.indexOf('#')) as ServiceKey;
}

/** A pool's checks may take as long as the slowest of its groups needs. */
export function poolsOf(table: ServiceTable): { key: string; checkTimeoutMs: number }[] {
  return table.pools.map((pool) => {
    const limitsMs = [pool.health, ...pool.groups.map((group) => group.health)].map(
      (health) => health?.timeoutMs ?? 0,
    );
    return {
      key: poolKey(table.service, pool.process),
      checkTimeoutMs: Math.max(1, Math.round(Math.max(...limitsMs))),
    };
  });
}

/** Of a slot that the pool is leaving for another. */
export function movedKey(pool: string): string {
  return `${pool}#moved`;
}

export interface Allocation {
  readonly slots: readonly Slot[];
  /** True: there are slots that the running configuration does not have. */
  readonly grew: boolean;
}

/** Gives every pool that has none a slot of its kind, making more where they run out. */
export function allocate(
  slots: readonly Slot[],
  pools: readonly { readonly key: string; readonly checkTimeoutMs: number }[],
): Allocation {
  let current = [...slots];
  let grew = false;
  for (const pool of pools) {
    const held = current.find((slot) => slot.pool === pool.key);
    if (held?.checkTimeoutMs === pool.checkTimeoutMs) continue;
    // Its checks now may take another time: it moves to a slot of that kind (see homes.ts), and the old one is
    // freed once it is quiet.
    if (held !== undefined) {
      current = current.map((slot) => (slot === held ? { ...slot, pool: movedKey(pool.key) } : slot));
    }
    let free = current.findIndex((slot) => isFree(slot) && slot.checkTimeoutMs === pool.checkTimeoutMs);
    if (free === -1) {
      grew = true;
      free = current.length;
      current = [...current, ...newSlots(current.length, pool.checkTimeoutMs)];
    }
    current = current.map((slot, index) => (index === free ? { ...slot, pool: pool.key } : slot));
  }
  return { slots: current, grew };
}

export function newSlots(existing: number, checkTimeoutMs: number): Slot[] {
  return Array.from({ length: SPARE_SLOTS }, (_, index) => ({
    backend: `kiln-b${String(existing + index + 1).padStart(4, '0')}`,
    checkTimeoutMs,
  }));
}

function isFree(slot: Slot): boolean {
  return slot.pool === undefined;
}
