/**
 * Who owns a service. A lease is held until its time is over or it is given up; the same holder
 * renews it under the same fence. Whoever takes it next, and whoever takes a released one, gets a
 * higher fence. No events and no audit: renewals would drown them.
 */
import type { Lease } from '../domain/deployment.ts';
import type { ServiceKey } from '../domain/ids.ts';
import type { LeaseStore } from '../domain/ports/leases.ts';
import type { Database } from './database.ts';
import type { Reader } from './engine.ts';
import { beginsWith } from './prefix.ts';
import type { LeaseTable } from './tables/deployments.ts';

export class Leases implements LeaseStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  acquire(service: ServiceKey, holder: string, ttlMs: number, nowMs: number): Promise<Lease | undefined> {
    return this.#database.coordinate(async (db) => {
      const before = await leaseRow(db, service);
      if (before && !isFree(before, holder, nowMs)) return undefined;
      const fence = before?.holder === holder ? before.fence : (before?.fence ?? 0) + 1;
      const lease: Lease = { holder, fence, expiresAtMs: nowMs + ttlMs };
      const values = { holder, fence, expires_at_ms: lease.expiresAtMs };
      await db
        .insertInto('leases')
        .values({ service, ...values })
        .onConflict((conflict) => conflict.column('service').doUpdateSet(values))
        .execute();
      return lease;
    });
  }

  release(service: ServiceKey, holder: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('leases')
        .set({ holder: null, expires_at_ms: 0 })
        .where('service', '=', service)
        .where('holder', '=', holder)
        .execute();
    });
  }

  releaseAll(holders: string): Promise<void> {
    return this.#database.coordinate(async (db) => {
      await db
        .updateTable('leases')
        .set({ holder: null, expires_at_ms: 0 })
        .where(beginsWith('holder', holders))
        .execute();
    });
  }

  holder(service: ServiceKey): Promise<Lease | undefined> {
    return this.#database.read(async (db) => {
      const row = await leaseRow(db, service);
      if (!row || row.holder === null) return undefined;
      return { holder: row.holder, fence: row.fence, expiresAtMs: row.expires_at_ms };
    });
  }
}

function leaseRow(db: Reader, service: ServiceKey): Promise<LeaseTable | undefined> {
  return db.selectFrom('leases').selectAll().where('service', '=', service).executeTakeFirst();
}

function isFree(lease: LeaseTable, holder: string, nowMs: number): boolean {
  return lease.holder === null || lease.holder === holder || lease.expires_at_ms <= nowMs;
}
