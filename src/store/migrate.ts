/** Brings the schema forward, all steps in one transaction under a lock; there is no way back. */
import { KilnError } from '../domain/errors.ts';
import type { Engine, Writer } from './engine.ts';
import { createFirstSchema } from './migrations/001-first-schema.ts';
import { addKeyedCalls } from './migrations/002-keyed-calls.ts';
import { addCatalogue } from './migrations/003-catalogue.ts';
import { addFindings } from './migrations/004-findings.ts';
import { addImageLifecycle } from './migrations/005-image-lifecycle.ts';
import { addExecutions } from './migrations/006-executions.ts';
import { addChannelPolicies } from './migrations/007-channel-policies.ts';
import { addTriggers } from './migrations/008-triggers.ts';
import { addRebakes } from './migrations/009-rebakes.ts';
import { addWebhooks } from './migrations/010-webhooks.ts';
import { addImageCopies } from './migrations/011-image-copies.ts';
import { addExecutionFacts } from './migrations/012-execution-facts.ts';
import { addEnvironmentPauses } from './migrations/013-environment-pauses.ts';
import { addFailedImages } from './migrations/014-failed-images.ts';
import { addServers } from './migrations/015-servers.ts';
import { addWebhookSecrets } from './migrations/016-webhook-secrets.ts';
import { addLogPlaces } from './migrations/017-log-places.ts';
import { addExecutionHomes } from './migrations/018-execution-homes.ts';
import { newerVersion } from './newer-version.ts';

interface Migration {
  readonly name: string;
  readonly up: (tx: Writer, engine: Engine) => Promise<void>;
}

/** The n-th entry makes schema version n. A released one is never changed: add another. */
const MIGRATIONS: readonly Migration[] = [
  { name: 'first-schema', up: createFirstSchema },
  { name: 'keyed-calls', up: addKeyedCalls },
  { name: 'catalogue', up: addCatalogue },
  { name: 'findings', up: addFindings },
  { name: 'image-lifecycle', up: addImageLifecycle },
  { name: 'executions', up: addExecutions },
  { name: 'channel-policies', up: addChannelPolicies },
  { name: 'triggers', up: addTriggers },
  { name: 'rebakes', up: addRebakes },
  { name: 'webhooks', up: addWebhooks },
  { name: 'image-copies', up: addImageCopies },
  { name: 'execution-facts', up: addExecutionFacts },
  { name: 'environment-pauses', up: addEnvironmentPauses },
  { name: 'failed-images', up: addFailedImages },
  { name: 'servers', up: addServers },
  { name: 'webhook-secrets', up: addWebhookSecrets },
  { name: 'log-places', up: addLogPlaces },
  { name: 'execution-homes', up: addExecutionHomes },
];

export const SCHEMA_VERSION = MIGRATIONS.length;

export async function migrate(engine: Engine, nowMs: number): Promise<void> {
  await engine.migrate(async (tx) => {
    const applied = await appliedVersion(tx, engine);
    if (applied > SCHEMA_VERSION) throw newerVersion(applied, SCHEMA_VERSION);
    for (const [index, migration] of MIGRATIONS.entries()) {
      const version = index + 1;
      if (version <= applied) continue;
      await migration.up(tx, engine);
      await tx
        .insertInto('schema_migrations')
        .values({ version, name: migration.name, applied_at_ms: nowMs })
        .execute();
      await tx.updateTable('state').set({ schema_version: version }).execute();
    }
  });
}

async function appliedVersion(tx: Writer, engine: Engine): Promise<number> {
  const tables = await engine.tables(tx);
  if (tables.length === 0) return 0;
  if (!tables.includes('schema_migrations')) {
    throw new KilnError('input.invalid', 'The database holds tables that are not of Kiln.', {
      next: 'Give Kiln a database (or a Postgres schema) of its own.',
    });
  }
  const row = await tx
    .selectFrom('schema_migrations')
    .select(({ fn }) => fn.max('version').as('version'))
    .executeTakeFirst();
  return row?.version ?? 0;
}
