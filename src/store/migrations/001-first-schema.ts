import { sql } from 'kysely';
import { CHAIN_START } from '../audit-chain.ts';
import type { Engine, Writer } from '../engine.ts';

export async function createFirstSchema(tx: Writer, engine: Engine): Promise<void> {
  await createJournal(tx, engine);
  await createImages(tx);
  await createReleases(tx);
  await createDeployments(tx);
  await createServices(tx);
  await createAccess(tx);
}

async function createJournal(tx: Writer, engine: Engine): Promise<void> {
  await tx.schema
    .createTable('schema_migrations')
    .addColumn('version', 'integer', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('applied_at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('state')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('schema_version', 'integer', (column) => column.notNull())
    .addColumn('revision', 'bigint', (column) => column.notNull())
    .addColumn('audit_revision', 'bigint', (column) => column.notNull())
    .addColumn('audit_hash', 'text', (column) => column.notNull())
    .addColumn('checked_at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await tx
    .insertInto('state')
    .values({
      id: 1,
      schema_version: 1,
      revision: 0,
      audit_revision: 0,
      audit_hash: CHAIN_START,
      checked_at_ms: 0,
    })
    .execute();
  await tx.schema
    .createTable('events')
    .addColumn('revision', 'bigint', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('data', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createTable('audit')
    .addColumn('revision', 'bigint', (column) => column.primaryKey())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .execute();
  await engine.makeAppendOnly(tx, 'audit');
}

async function createImages(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('images')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('version', 'text', (column) => column.notNull())
    .addColumn('input_key', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addUniqueConstraint('images_version', ['component', 'version'])
    .execute();
  await tx.schema.createIndex('images_newest').on('images').columns(['component', 'ordinal']).execute();
  await tx.schema
    .createIndex('images_input_key')
    .on('images')
    .columns(['component', 'input_key', 'ordinal'])
    .execute();
  await tx.schema
    .createTable('image_artifacts')
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addPrimaryKeyConstraint('image_artifacts_key', ['digest', 'image_id'])
    .execute();
  await tx.schema
    .createTable('image_checks')
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addColumn('ordinal', 'bigint', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('image_checks_key', ['image_id', 'ordinal'])
    .execute();
  await tx.schema
    .createTable('channel_moves')
    .addColumn('ordinal', 'bigint', (column) => column.primaryKey())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('channel', 'text', (column) => column.notNull())
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addColumn('previous', 'text')
    .addColumn('moved_by', 'text', (column) => column.notNull())
    .addColumn('why', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .execute();
  await tx.schema
    .createIndex('channel_moves_newest')
    .on('channel_moves')
    .columns(['component', 'channel', 'ordinal'])
    .execute();
}

async function createReleases(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('releases')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('environment', 'text', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('image_id', 'text', (column) => column.notNull().references('images.id'))
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('served_at_ms', 'bigint')
    .addColumn('bad', 'text')
    .addPrimaryKeyConstraint('releases_key', ['component', 'environment', 'number'])
    .execute();
  await tx.schema
    .createIndex('releases_newest')
    .on('releases')
    .columns(['component', 'environment', 'ordinal'])
    .execute();
  await tx.schema
    .createTable('release_routes')
    .addColumn('host', 'text', (column) => column.notNull())
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('environment', 'text', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('release_routes_key', ['host', 'path', 'component', 'environment', 'number'])
    .execute();
}

async function createDeployments(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('deployments')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('environment', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('from_release', 'integer')
    .addColumn('to_release', 'integer', (column) => column.notNull())
    .addColumn('strategy', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('decisions', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('failure', 'text')
    .addForeignKeyConstraint('deployments_release', ['component', 'environment', 'to_release'], 'releases', [
      'component',
      'environment',
      'number',
    ])
    .execute();
  await tx.schema
    .createIndex('deployments_newest')
    .on('deployments')
    .columns(['component', 'environment', 'ordinal'])
    .execute();
  // The last word on "one deployment at a time", whatever the code above it believes.
  await sql`create unique index deployments_one_running on deployments (component, environment) where state = 'running'`.execute(
    tx,
  );
}

async function createServices(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('services')
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('environment', 'text', (column) => column.notNull())
    .addColumn('last_release', 'integer', (column) => column.notNull())
    .addColumn('serving', 'integer')
    .addColumn('stopped', 'integer', (column) => column.notNull())
    .addColumn('weights', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('services_key', ['component', 'environment'])
    .execute();
  await tx.schema
    .createTable('server_groups')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('component', 'text', (column) => column.notNull())
    .addColumn('environment', 'text', (column) => column.notNull())
    .addColumn('body', 'text', (column) => column.notNull())
    .execute();
  await tx.schema
    .createIndex('server_groups_service')
    .on('server_groups')
    .columns(['component', 'environment'])
    .execute();
  await tx.schema
    .createTable('leases')
    .addColumn('service', 'text', (column) => column.primaryKey())
    .addColumn('holder', 'text')
    .addColumn('fence', 'bigint', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint', (column) => column.notNull())
    .execute();
}

async function createAccess(tx: Writer): Promise<void> {
  await tx.schema
    .createTable('tokens')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('ordinal', 'bigint', (column) => column.notNull().unique())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('environments', 'text', (column) => column.notNull())
    .addColumn('secret_hash', 'text', (column) => column.notNull().unique())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('expires_at_ms', 'bigint')
    .execute();
  await tx.schema
    .createTable('idempotency')
    .addColumn('actor', 'text', (column) => column.notNull())
    .addColumn('key', 'text', (column) => column.notNull())
    .addColumn('request_hash', 'text', (column) => column.notNull())
    .addColumn('status', 'integer')
    .addColumn('body', 'text')
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('idempotency_key', ['actor', 'key'])
    .execute();
  await tx.schema.createIndex('idempotency_age').on('idempotency').columns(['at_ms']).execute();
}
