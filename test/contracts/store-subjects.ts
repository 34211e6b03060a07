/** The engines that the contract runs on: how each makes an empty database, and how a test gets behind the store's back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Store } from '../../src/domain/ports/store.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore, type StoreSettings } from '../../src/store/open.ts';
import { PrivatePostgres, runSql } from './postgres.ts';

/** A store on an empty database for each test, and the settings to open it once more. */
export interface StoreUnderTest {
  readonly store: Store;
  readonly settings: StoreSettings;
}

export interface StoreSubject {
  readonly kind: StoreSettings['kind'];
  /** Settings of a new, empty database. */
  fresh(): Promise<StoreSettings>;
  close(): Promise<void>;
}

export function sqliteSubject(): StoreSubject {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-store-'));
  let made = 0;
  return {
    kind: 'sqlite',
    async fresh() {
      made += 1;
      return { kind: 'sqlite', file: join(directory, `state-${made}`, 'kiln.db') };
    },
    async close() {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function postgresSubject(): Promise<StoreSubject> {
  const postgres = await PrivatePostgres.start();
  // Migrated once, and copied for each test.
  const migrated = await postgres.database();
  await (await open({ kind: 'postgres', url: migrated })).close();
  const template = new URL(migrated).pathname.slice(1);
  return {
    kind: 'postgres',
    fresh: async () => ({ kind: 'postgres', url: await postgres.database(template) }),
    close: () => postgres.close(),
  };
}

export function open(settings: StoreSettings): Promise<Store> {
  return openStore(settings, { clock: systemClock });
}

/** A statement that the store knows nothing of: somebody else's hand in the database. */
export async function tamper(settings: StoreSettings, statement: string): Promise<void> {
  if (settings.kind === 'postgres') {
    await runSql(settings.url, statement);
    return;
  }
  const database = new DatabaseSync(settings.file);
  try {
    database.exec(statement);
  } finally {
    database.close();
  }
}
