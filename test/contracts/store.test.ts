/** What every store engine must do, run on SQLite always and on a real Postgres of this test's own. */
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { POSTGRES_MISSING, postgresBinaries } from './postgres.ts';
import { catalogueContract } from './store-catalogue.ts';
import { executionHistoryContract } from './store-execution-history.ts';
import { executionsContract } from './store-executions.ts';
import { findingsContract } from './store-findings.ts';
import { imagesContract } from './store-images.ts';
import { janitorContract } from './store-janitor.ts';
import { journalContract } from './store-journal.ts';
import { ownershipContract } from './store-ownership.ts';
import { pausesContract } from './store-pauses.ts';
import { rebakesContract } from './store-rebakes.ts';
import { releasesContract } from './store-releases.ts';
import { serversContract } from './store-servers.ts';
import {
  open,
  postgresSubject,
  type StoreSubject,
  type StoreUnderTest,
  sqliteSubject,
} from './store-subjects.ts';
import { triggersContract } from './store-triggers.ts';
import { webhooksContract } from './store-webhooks.ts';

function contract(makeSubject: () => Promise<StoreSubject>): void {
  let subject: StoreSubject;
  let current: StoreUnderTest;
  beforeAll(async () => {
    subject = await makeSubject();
  });
  afterAll(() => subject?.close());
  beforeEach(async () => {
    const settings = await subject.fresh();
    current = { settings, store: await open(settings) };
    return () => current.store.close();
  });

  const underTest = () => current;
  describe('images and channels', () => imagesContract(underTest));
  describe('executions', () => executionsContract(underTest));
  describe('execution history', () => executionHistoryContract(underTest));
  describe('triggers', () => triggersContract(underTest));
  describe('webhooks', () => webhooksContract(underTest));
  describe('findings', () => findingsContract(underTest));
  describe('catalogue', () => catalogueContract(underTest));
  describe('revocation and janitor', () => janitorContract(underTest));
  describe('pauses', () => pausesContract(underTest));
  describe('rebakes and policies', () => rebakesContract(underTest));
  describe('releases and deployments', () => releasesContract(underTest));
  describe('servers', () => serversContract(underTest));
  describe('ownership', () => ownershipContract(underTest));
  describe('journal', () => journalContract(underTest));
}

describe('store on sqlite', () => contract(async () => sqliteSubject()));

if (postgresBinaries() !== undefined || process.env.CI === 'true') {
  describe('store on postgres', () => contract(postgresSubject));
} else {
  it.skip(`store on postgres: ${POSTGRES_MISSING}`);
}
