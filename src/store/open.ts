/** Opens the store: picks the engine, brings the schema forward, and puts the sub-stores on it. */
import { KilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import { Audit } from './audit.ts';
import { Catalogue } from './catalogue/catalogue.ts';
import type { LongReads } from './catalogue/long-reads.ts';
import { ChannelPolicies } from './channel-policies.ts';
import { Channels } from './channels.ts';
import { Database } from './database.ts';
import { Deployments } from './deployments.ts';
import type { Engine, Watch } from './engine.ts';
import { Events } from './events.ts';
import { ExecutionHistory } from './execution-history.ts';
import { Executions } from './executions.ts';
import { Findings } from './findings.ts';
import { Idempotency } from './idempotency.ts';
import { Images } from './images.ts';
import { Janitor } from './janitor.ts';
import { Leases } from './leases.ts';
import { LogPlaces } from './log-places.ts';
import { migrate } from './migrate.ts';
import { Pauses } from './pauses.ts';
import { Rebakes } from './rebakes.ts';
import { Releases } from './releases.ts';
import { Servers } from './servers.ts';
import { Services } from './services.ts';
import { Tokens } from './tokens.ts';
import { TriggerEvents } from './triggers.ts';
import { Webhooks } from './webhooks.ts';

export type StoreSettings =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };

export interface StoreParts {
  readonly clock: Clock;
  /** Spreads retries; 0 ≤ n < 1. */
  readonly random?: () => number;
  /** Absolute path of the thread's entry that long reads of SQLite run in; without it they run in this one. */
  readonly readerEntry?: string;
}

/**
 * Fails with `state.newer-version` when a newer Kiln wrote the store, `store.damaged` when it is
 * unreadable, `store.lost` or `store.busy` (retryable) when it cannot be reached.
 */
export async function openStore(settings: StoreSettings, parts: StoreParts): Promise<Store> {
  const { clock, random = Math.random } = parts;
  const engine = await openEngine(settings, { clock, random });
  try {
    await migrate(engine, clock.now());
  } catch (thrown) {
    await engine.close();
    throw thrown;
  }
  return new OpenStore(engine, clock, await longReads(engine, settings, parts.readerEntry));
}

async function longReads(engine: Engine, settings: StoreSettings, entry?: string): Promise<LongReads> {
  if (settings.kind === 'sqlite' && entry !== undefined) {
    const { ReaderThread } = await import('./sqlite/reader-thread.ts');
    return new ReaderThread(entry, settings.file);
  }
  const { ownReads } = await import('./catalogue/long-reads.ts');
  return ownReads(engine);
}

async function openEngine(
  settings: StoreSettings,
  parts: Required<Pick<StoreParts, 'clock' | 'random'>>,
): Promise<Engine> {
  // Imported only when used: who has the one engine need not load, or even have, the other.
  if (settings.kind === 'sqlite') {
    const { openSqlite } = await import('./sqlite/connection.ts');
    return openSqlite(settings.file, parts);
  }
  const { openPostgres } = await import('./postgres/connection.ts');
  return openPostgres(settings.url, parts);
}

class OpenStore implements Store {
  readonly engine: Engine['kind'];
  readonly images: Images;
  readonly catalogue: Catalogue;
  readonly channels: Channels;
  readonly channelPolicies: ChannelPolicies;
  readonly findings: Findings;
  readonly pauses: Pauses;
  readonly rebakes: Rebakes;
  readonly janitor: Janitor;
  readonly releases: Releases;
  readonly deployments: Deployments;
  readonly executions: Executions;
  readonly executionHistory: ExecutionHistory;
  readonly logPlaces: LogPlaces;
  readonly triggers: TriggerEvents;
  readonly webhooks: Webhooks;
  readonly servers: Servers;
  readonly services: Services;
  readonly leases: Leases;
  readonly tokens: Tokens;
  readonly idempotency: Idempotency;
  readonly events: Events;
  readonly audit: Audit;
  readonly #engine: Engine;
  readonly #clock: Clock;
  readonly #database: Database;
  readonly #reads: LongReads;
  readonly #watch: Watch;

  constructor(engine: Engine, clock: Clock, reads: LongReads) {
    const database = new Database(engine);
    this.engine = engine.kind;
    this.images = new Images(database);
    this.catalogue = new Catalogue(database, reads);
    this.channels = new Channels(database);
    this.channelPolicies = new ChannelPolicies(database);
    this.findings = new Findings(database);
    this.pauses = new Pauses(database);
    this.rebakes = new Rebakes(database);
    this.janitor = new Janitor(database, reads);
    this.releases = new Releases(database);
    this.deployments = new Deployments(database);
    this.executions = new Executions(database);
    this.executionHistory = new ExecutionHistory(database, reads);
    this.logPlaces = new LogPlaces(database);
    this.triggers = new TriggerEvents(database);
    this.webhooks = new Webhooks(database);
    this.servers = new Servers(database);
    this.services = new Services(database);
    this.leases = new Leases(database);
    this.tokens = new Tokens(database);
    this.idempotency = new Idempotency(database);
    this.events = new Events(database);
    this.audit = new Audit(database);
    this.#engine = engine;
    this.#clock = clock;
    this.#database = database;
    this.#reads = reads;
    this.#watch = engine.watch(() => database.revisions.poke());
  }

  async ping(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const written = this.#database.coordinate((db) =>
      db.updateTable('state').set({ checked_at_ms: this.#clock.now() }).execute(),
    );
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason ?? new KilnError('aborted', 'The call was cancelled.'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([written, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      // Who gave up waiting has been told so; the write's own failure is no news any more.
      written.catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#database.revisions.close();
    await this.#watch.close();
    await this.#reads.close();
    await this.#engine.close();
  }
}
