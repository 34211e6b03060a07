/** An app over a real SQLite store, with small collaborators in place of bakery, checks and deployer. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Janitor } from '../../src/catalog/janitor.ts';
import type { Role } from '../../src/domain/audit.ts';
import type { Deployment } from '../../src/domain/deployment.ts';
import { KilnError } from '../../src/domain/errors.ts';
import {
  type BakeId,
  componentName,
  type DeploymentId,
  digest,
  environmentName,
  type ImageId,
  type InstanceId,
} from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import type { PipelineSource } from '../../src/domain/trigger.ts';
import { type App, createApp } from '../../src/http/app.ts';
import { secretHash } from '../../src/http/auth.ts';
import type { HttpParts } from '../../src/http/parts.ts';
import { Machines } from '../../src/pipeline/executor/machines.ts';
import { SingleTasks } from '../../src/pipeline/executor/single-tasks.ts';
import { PipelineHealth } from '../../src/pipeline/health/pipeline-health.ts';
import { DiskTaskLogs } from '../../src/pipeline/logs/task-logs.ts';
import { Pipelines } from '../../src/pipeline/pipelines.ts';
import { NOTHING_YET } from '../../src/registry/transfer-progress.ts';
import type { Transfer } from '../../src/registry/transfers.ts';
import type { ScanRun } from '../../src/scan/scans.ts';
import { KnownServers } from '../../src/server/known-servers.ts';
import { ownSealingKey } from '../../src/server/sealing-key.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openWebhooks } from '../../src/server/webhooks.ts';
import { openStore } from '../../src/store/open.ts';

export const STOREFRONT = componentName('storefront');
export const STAGE = environmentName('stage/local');

export interface Fixture {
  readonly app: App;
  readonly store: Store;
  readonly parts: HttpParts;
  /** Where its files are. */
  readonly directory: string;
  /** How often each outside act was asked for. */
  readonly acts: string[];
  /** What the log was given, as text. */
  readonly logged: string[];
  token(role: Role, environments?: readonly string[], expiresAtMs?: number): Promise<string>;
  image(version: string, checked?: boolean): Promise<Image>;
  request(method: string, path: string, options?: RequestOptions): Promise<Response>;
  close(): Promise<void>;
}

export interface RequestOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export async function openFixture(
  change: (parts: HttpParts) => HttpParts = (parts) => parts,
): Promise<Fixture> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kiln-http-'));
  const store = await openStore(
    { kind: 'sqlite', file: path.join(directory, 'kiln.db') },
    { clock: systemClock },
  );
  const acts: string[] = [];
  const logged: string[] = [];
  const webhooks = await openWebhooks(
    store,
    systemClock,
    await ownSealingKey(path.join(directory, 'key')),
    path.join(directory, 'webhooks'),
    { warn: () => undefined },
  );
  const parts = change({ ...smallParts(store, directory, acts, logged), webhooks });
  const app = createApp(parts);
  const by = { actor: 'test', atMs: 1 };
  let secrets = 0;
  return {
    app,
    store,
    parts,
    directory,
    acts,
    logged,
    async token(role, environments = role === 'deployer' ? ['*/*'] : [], expiresAtMs) {
      secrets += 1;
      const secret = `kiln_secret-${secrets}`;
      const expiry = expiresAtMs === undefined ? {} : { expiresAtMs };
      await store.tokens.create(
        { name: `${role}-${secrets}`, role, environments, ...expiry },
        secretHash(secret),
        by,
      );
      return secret;
    },
    async image(version, checked = true) {
      const image = await store.images.create(imageOf(version), by);
      if (checked) await store.images.recordCheck(image.id, passedCheck, by);
      return image;
    },
    request: (method, where, options = {}) => send(app, method, where, options),
    async close() {
      app.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function send(app: App, method: string, where: string, options: RequestOptions): Promise<Response> {
  const body = options.text ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  const headers: Record<string, string> = { host: 'localhost:7070', ...options.headers };
  if (options.token !== undefined) headers.authorization = `Bearer ${options.token}`;
  if (body !== undefined && headers['content-type'] === undefined)
    headers['content-type'] = 'application/json';
  const init = { method, headers, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  return app.fetch(
    new Request(`http://localhost:7070${where}`, body === undefined ? init : { ...init, body }),
  );
}

const DIGEST = digest(`sha256:${'0'.repeat(64)}`);

const passedCheck = {
  id: 'c1',
  kind: 'smoke',
  where: 'bake',
  passed: true,
  passedCount: 1,
  failedCount: 0,
  failures: [],
  atMs: 1,
};

let created = 0;

function imageOf(version: string): Omit<Image, 'checks' | 'revoked'> {
  created += 1;
  const spec = {
    processes: [],
    config: { required: [], values: {}, env: 'all' as const, files: [] },
    deploy: { strategy: 'rolling' as const, keepWarmMs: 0, timeoutMs: 1, batch: 1, steps: [], everyMs: 0 },
    routes: [],
    checks: [],
    target: 'local',
  };
  const definition = {
    component: STOREFRONT,
    image: { kind: 'bundle' as const, build: [], buildEnvironment: {}, include: [], exclude: [], tests: [] },
    defaults: spec,
    environments: {},
  };
  return {
    id: `image-${version.replaceAll('.', '')}-${created}` as ImageId,
    component: STOREFRONT,
    version,
    inputKey: DIGEST,
    tags: { component: 'storefront', version },
    // The rest of a definition is the component reader's; nothing here looks at it.
    definition: definition as unknown as Image['definition'],
    artifacts: [{ kind: 'bundle', provider: 'local', arch: 'x64', digest: DIGEST, sizeBytes: 10 }],
    createdAtMs: created,
  };
}

const DEPLOYMENT: Deployment = {
  id: 'd1' as DeploymentId,
  component: STOREFRONT,
  environment: STAGE,
  reason: 'deploy',
  to: 1,
  strategy: 'rolling',
  state: 'running',
  decisions: {},
  createdAtMs: 1,
  createdBy: 'test',
};

function smallParts(
  store: Store,
  directory: string,
  acts: string[],
  logged: string[],
): Omit<HttpParts, 'webhooks'> {
  const log = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const bake = (id: BakeId) => ({ id, directory: '/app', startedAtMs: 1, startedBy: 'test' });
  return {
    store,
    chat: { slackSecret: () => Promise.resolve(undefined), users: {} },
    bakery: {
      async start() {
        acts.push('bake');
        return { id: `bake-${acts.length}` as BakeId };
      },
      get(id) {
        if (id.startsWith('bake-')) return bake(id);
        throw new KilnError('not-found', `There is no bake ${id}.`);
      },
      async wait(id) {
        return {
          ...bake(id),
          endedAtMs: 2,
          outcome: { kind: 'failed', error: new KilnError('build.failed', 'No.') },
        };
      },
      async *follow() {
        yield { kind: 'output', line: 'one' };
        yield { kind: 'output', line: 'two' };
        yield { kind: 'end', outcome: { kind: 'failed', error: new KilnError('build.failed', 'No.') } };
      },
      cancel: () => void acts.push('bake.cancel'),
    },
    checks: {
      async start({ what }) {
        acts.push('check');
        return {
          id: 'check-1',
          state: 'passed',
          component: STOREFRONT,
          ...('image' in what ? { image: what.image.id } : {}),
          results: [],
          startedAtMs: 1,
        };
      },
      get: async () => undefined,
      wait: async (id) => ({ id, state: 'passed', component: STOREFRONT, results: [], startedAtMs: 1 }),
    },
    pipelines: noPipelines(store),
    askedStarts: noAskedStarts(),
    sources: oneSource(acts),
    poller: { stateOf: () => undefined },
    singleTasks: new SingleTasks({
      store: store.executions,
      machines: new Machines(store.executions),
      clock: systemClock,
    }),
    taskTokens: { answer: async () => undefined },
    workerJobs: {
      take: async () => undefined,
      begin: async () => undefined,
      beat: () => undefined,
      log: async () => undefined,
      end: () => undefined,
      release: () => undefined,
      source: () => Promise.reject(new KilnError('not-found', 'There is no job.')),
      fetch: () => Promise.reject(new KilnError('not-found', 'There is no job.')),
      send: async () => undefined,
      keep: async () => undefined,
    },
    executionGraph: async () => ({ svg: '<svg/>', states: [{ state: 'A', status: 'succeeded' }] }),
    pipelineHealth: new PipelineHealth({
      history: store.executionHistory,
      executions: store.executions,
      deployments: store.deployments,
      releases: store.releases,
      images: store.images,
      machines: new Machines(store.executions),
      clock: systemClock,
    }),
    taskLogs: new DiskTaskLogs(path.join(directory, 'logs'), systemClock, { warn: log }),
    sboms: {
      of: async () => '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}',
      openable: async () => undefined,
    },
    scans: noScans(acts),
    transfers: noTransfers(acts),
    imageFiles: { changes: async () => [], verify: async () => ({ blobs: 0, faults: [] }) },
    rebakes: { status: async () => [], recent: async () => [], retry: async () => false },
    janitor: new Janitor({
      store,
      clock: systemClock,
      collectBlobs: async () => ({ blobs: 0, bytes: 0 }),
      removals: [],
    }),
    deployer: {
      async deploy() {
        acts.push('deploy');
        return { kind: 'started', release: { number: 1, version: '1.0.0' }, deployment: DEPLOYMENT };
      },
      plan: async () => ({
        unchanged: false,
        to: 1,
        strategy: 'rolling',
        steps: [{ kind: 'ensure-group', text: 'start it' }],
        afterwards: [],
        warnings: [],
      }),
      async rollback() {
        acts.push('rollback');
        return { ...DEPLOYMENT, reason: 'rollback' };
      },
      cancel: async () => void acts.push('cancel'),
      wait: async () => ({ ...DEPLOYMENT, state: 'deployed', endedAtMs: 2 }),
      stop: async () => void acts.push('stop'),
    },
    services: {
      list: async () => [
        {
          component: STOREFRONT,
          environment: STAGE,
          verdict: 'serving',
          hosts: ['storefront.stage.localhost'],
          groups: [],
        },
      ],
      async *logs() {
        yield { instance: 'i1' as InstanceId, text: 'hello' };
        yield { instance: 'i1' as InstanceId, text: 'world' };
      },
    },
    router: {
      status: async () => ({ driver: 'built-in', reachable: true, listen: '127.0.0.1:7080', detail: 'fine' }),
    },
    servers: new KnownServers({
      store: store.servers,
      clock: systemClock,
      log: { warn: log },
      id: 'this-server',
      version: '0.1.0',
      startedAtMs: 1,
      shares: false,
    }),
    server: {
      version: '0.1.0',
      pid: 1,
      startedAtMs: 1,
      stateDirectory: '/tmp/kiln',
      targets: async () => [{ name: 'local', isolation: 'none', detail: 'processes' }],
      async down() {
        acts.push('down');
        return [];
      },
    },
    clock: systemClock,
    holder: 'here:1',
    log: { info: log, warn: log, error: log },
    randomBytes,
    page: new Map(),
    hosts: ['kiln.example.com'],
  };
}

/** The members of a JSON answer. */
export async function membersOf(answer: Response): Promise<Readonly<Record<string, unknown>>> {
  const body: unknown = await answer.json();
  return typeof body === 'object' && body !== null ? { ...body } : {};
}

/** Transfers that only say what was asked of them. */
function noTransfers(acts: string[]): HttpParts['transfers'] {
  const transfer = (direction: 'push' | 'pull', reference: string): Transfer => ({
    id: 'transfer-1',
    direction,
    reference,
    progress: NOTHING_YET,
    startedAtMs: 1,
    startedBy: 'someone',
  });
  return {
    push(_image, to) {
      acts.push('transfer.push');
      return transfer('push', to);
    },
    pull(from) {
      acts.push('transfer.pull');
      return transfer('pull', from);
    },
    get: () => transfer('pull', 'localhost:1/shop'),
    wait: async () => transfer('pull', 'localhost:1/shop'),
    cancel() {
      acts.push('transfer.cancel');
      return transfer('pull', 'localhost:1/shop');
    },
  };
}

/** Scans that find nothing. */
function noScans(acts: string[]): HttpParts['scans'] {
  const run: ScanRun = {
    id: 'scan-1',
    state: 'passed',
    scanned: 0,
    skipped: 0,
    advisories: 0,
    images: [],
    startedAtMs: 1,
  };
  return {
    start() {
      acts.push('scan');
      return run;
    },
    wait: async () => run,
    verdict: async () => ({ passed: true, blocking: [], waived: [], noted: [] }),
  };
}

/** One source of a repository that is never looked at. */
/** Repositories are fetched elsewhere: here none can be. */
function noAskedStarts(): HttpParts['askedStarts'] {
  const unreachable = () => Promise.reject(new KilnError('checkout.failed', 'It cannot be reached.'));
  return {
    ofRepository: unreachable,
    start: unreachable,
    check: async () => undefined,
    ofSource: async ({ component }) => ({ component, parameters: [] }),
  };
}

function oneSource(acts: string[]): HttpParts['sources'] {
  const source: PipelineSource = {
    id: 'src-1',
    component: 'storefront',
    location: { kind: 'repository', url: 'https://example.com/shop.git' },
    directory: '',
    branch: 'main',
    triggers: {
      push: { branches: ['main'], tags: [] },
      schedule: [{ cron: '@daily', timeZone: 'UTC', missed: 'once' }],
      channel: [],
      base: false,
      pipeline: [],
      onOpen: 'queue',
    },
    checkout: { submodules: true, lfs: true },
    parameters: {},
    owner: { actor: 'tester', role: 'admin', environments: [] },
    createdAtMs: 1,
  };
  return {
    get: async () => source,
    ask: async () => ({ source: source.id, execution: 'exec-1' }),
    pushed: async (_id, moves) => moves.map(() => ({ source: source.id })),
    async remove(id) {
      acts.push(`source.remove ${id}`);
    },
    async watch() {
      acts.push('source.watch');
      return source;
    },
  };
}

/** Executions are begun and never carried on: no executor runs. */
function noPipelines(store: Store): Pipelines {
  let begun = 0;
  return new Pipelines({
    store: store.executions,
    events: store.events,
    machines: new Machines(store.executions),
    clock: systemClock,
    newId: () => {
      begun += 1;
      return String(begun);
    },
    describe: async () => ({ component: 'storefront', environments: [] }),
    commitOf: async () => ({}),
    restore: async () => undefined,
  });
}
