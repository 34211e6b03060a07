/** The composition root: every part is built here, by hand, and closed in the opposite order. */
import { randomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { ImageFiles } from './bakery/image-files.ts';
import { Rebakes } from './catalog/rebakes.ts';
import { CheckRuns } from './checks/check-runs.ts';
import { Deployer } from './deploy/deployer.ts';
import { Owners } from './deploy/owners.ts';
import type { DeployParts } from './deploy/parts.ts';
import { serviceLogs } from './deploy/service-logs.ts';
import { serviceStatuses } from './deploy/status.ts';
import { serviceKey } from './domain/ids.ts';
import type { Store } from './domain/ports/store.ts';
import type { TaskLogAbout } from './domain/ports/task-log.ts';
import { createApp } from './http/app.ts';
import { checkListen } from './http/listen.ts';
import { readPageFiles } from './http/page.ts';
import { secretFolder } from './pipeline/commands/secret-folder.ts';
import { type LimitOf, verbLimits } from './pipeline/definition/verb-limits.ts';
import { executionGraph } from './pipeline/execution-graph.ts';
import { Machines } from './pipeline/executor/machines.ts';
import { PipelineHealth } from './pipeline/health/pipeline-health.ts';
import { DiskTaskLogs } from './pipeline/logs/task-logs.ts';
import { RESOURCES } from './pipeline/task-registry.ts';
import { ensureAdminToken } from './server/admin-token.ts';
import { ApprovalEvidence } from './server/approval-evidence.ts';
import { buildBakery } from './server/build-bakery.ts';
import { buildJanitor } from './server/build-janitor.ts';
import { buildPipelines } from './server/build-pipelines.ts';
import { buildScans } from './server/build-scans.ts';
import { buildRouter, buildTargets } from './server/build-targets.ts';
import { ARCH, type Building, type Entries, type Surroundings } from './server/building.ts';
import { openChat } from './server/chat.ts';
import { stopEverything } from './server/down.ts';
import { ImageChecker } from './server/image-checker.ts';
import { imageVerbs } from './server/image-verbs.ts';
import { KnownServers } from './server/known-servers.ts';
import { machineTrials } from './server/machine-checks.ts';
import { pipelineVerbs } from './server/pipeline-verbs.ts';
import { rebakeWork } from './server/rebake-work.ts';
import { releaseChecker } from './server/release-checker.ts';
import { assertListenIsFree, listenForApi } from './server/sockets.ts';
import { openStateDirectory } from './server/state-directory.ts';
import { systemClock } from './server/system-clock.ts';
import { targetReports } from './server/target-report.ts';
import { VerbLogs } from './server/verb-logs.ts';
import type { Settings } from './settings.ts';
import { openStore } from './store/open.ts';

/** For an answer to be on its way. */
const ANSWER_MS = 100;

export interface KilnServer {
  readonly url: string;
  /** Resolves when somebody has asked the server to stop, over the API. */
  readonly asked: Promise<void>;
  close(): Promise<void>;
}

export async function startServer(
  settings: Settings,
  entries: Entries,
  log: Logger,
  around: Surroundings = {},
): Promise<KilnServer> {
  // What the settings say wrongly is refused before anything is begun.
  checkListen({ ...settings.listen, ...(settings.tls === undefined ? {} : { tls: settings.tls }) });
  const limitOf = verbLimits(RESOURCES, settings.taskLimitSeconds);
  const closers: (() => Promise<void> | void)[] = [];
  const closing = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const state = await openStateDirectory(settings.stateDirectory, { takeOver: settings.takeOver });
    closers.push(() => state.release());
    const server = await build({ settings, entries, log, around, state, closers }, limitOf);
    return { ...server, close: closing };
  } catch (error) {
    await closing();
    throw error;
  }
}

async function build(building: Building, limitOf: LimitOf): Promise<Omit<KilnServer, 'close'>> {
  const { settings, entries, log, state, closers } = building;
  const startedAtMs = systemClock.now();
  await assertListenIsFree(settings.listen);
  const store = await buildStore(building);
  const { bakery, blobs, unpack } = await buildBakery(building, store);
  const { sboms, scans, transfers } = await buildScans(building, store, { blobs, unpack });
  const targets = await buildTargets(building, blobs, unpack);
  const router = await buildRouter(building);

  const deploy: DeployParts = {
    store,
    targets,
    router,
    clock: systemClock,
    log,
    checkRelease: releaseChecker({ store, router, clock: systemClock }),
  };
  const holders = `${hostname()}:${state.id}:`;
  const holder = `${holders}${process.pid}:${randomUUID()}`;
  const machines = machineTrials(settings, state.path, blobs, ARCH);
  closers.push(() => machines.close());
  const imageChecker = new ImageChecker({ store, targets, machines, clock: systemClock, holder });
  const checks = new CheckRuns({
    store,
    clock: systemClock,
    newId: randomUUID,
    checkImage: (image, signal) => imageChecker.check(image, signal),
    checkRelease: deploy.checkRelease,
  });
  closers.push(() => checks.close());
  // Whoever holds the state directory knows that every server which held it before has ended, and what these held
  // in the store is free; a store in the directory itself is held by nobody else.
  const ended = store.engine === 'sqlite' ? '' : holders;
  await store.leases.releaseAll(ended);
  await store.idempotency.releaseAll(ended);
  await store.executions.releaseAll(ended);
  await imageChecker.sweep();
  const owners = new Owners(deploy, holder);
  await owners.start();
  closers.push(() => owners.close());

  const janitor = buildJanitor(building, store, bakery);
  const rebakes = new Rebakes({
    store,
    clock: systemClock,
    log,
    server: state.id,
    ...rebakeWork({ bakery, checks }),
  });
  closers.push(() => rebakes.close());
  rebakes.start();

  const deployer = new Deployer(deploy, owners);
  const taskLogs = openTaskLogs(building, store);
  const verbs = pipelineVerbs({
    store,
    bakery,
    checks,
    deployer,
    clock: systemClock,
    holder,
    newId: randomUUID,
    images: imageVerbs({ store, scans, transfers, clock: systemClock }),
    logs: new VerbLogs(taskLogs, log),
  });
  const imageFiles = new ImageFiles(blobs);
  const evidence = new ApprovalEvidence({
    store,
    insides: { imageFiles, sboms },
    verdict: (image) => scans.verdict(image),
    clock: systemClock,
    log,
  });
  closers.push(() => evidence.close());
  const { pipelines, taskTokens, singleTasks, workerJobs, triggers, webhooks } = await buildPipelines(
    building,
    {
      store,
      verbs,
      holder,
      home: store.engine === 'postgres' ? holders : undefined,
      taskLogs,
      evidence,
      limitOf,
    },
  );

  const servers = new KnownServers({
    store: store.servers,
    clock: systemClock,
    log,
    id: state.id,
    version: entries.version,
    startedAtMs,
    shares: store.engine === 'postgres',
  });
  const asked = Promise.withResolvers<void>();
  const app = createApp({
    store,
    router,
    log,
    clock: systemClock,
    holder,
    randomBytes,
    hosts: [
      ...settings.hosts,
      ...(settings.peerUrl === undefined ? [] : [new URL(settings.peerUrl).hostname]),
    ],
    servers,
    page: await readPageFiles(entries.page),
    bakery,
    checks,
    sboms,
    scans,
    transfers,
    imageFiles,
    rebakes,
    janitor,
    deployer,
    pipelines,
    taskTokens,
    singleTasks,
    workerJobs,
    taskLogs,
    executionGraph: (id) =>
      executionGraph({ executions: store.executions, machines: new Machines(store.executions) }, id),
    pipelineHealth: new PipelineHealth({
      history: store.executionHistory,
      executions: store.executions,
      deployments: store.deployments,
      releases: store.releases,
      images: store.images,
      machines: new Machines(store.executions),
      clock: systemClock,
    }),
    sources: triggers.sources,
    askedStarts: triggers.asked,
    poller: triggers.poller,
    webhooks,
    chat: openChat(settings, secretFolder(state.file('secrets')), log),
    services: {
      list: (filter, signal) => serviceStatuses(deploy, filter, signal),
      logs: (component, environment, query, signal) =>
        serviceLogs(deploy, serviceKey(component, environment), query, signal),
    },
    server: {
      version: entries.version,
      pid: process.pid,
      startedAtMs,
      stateDirectory: state.path,
      targets: (signal) => targetReports(targets, signal),
      down: async ({ instances }) => {
        try {
          if (!instances) return [];
          await owners.close();
          return await stopEverything(deploy, holder);
        } finally {
          // Answered first, so that whoever asked learns of it; and not before all is stopped, which closing would cut.
          setTimeout(() => asked.resolve(), ANSWER_MS);
        }
      },
    },
  });
  await ensureAdminToken(store, state.file('token'), systemClock);
  const api = await listenForApi(settings, app.fetch);
  closers.push(() => api.close());
  // Before the socket: it ends streams and waiting calls, which closing would otherwise wait for.
  closers.push(() => app.close());
  await servers.start(settings.peerUrl ?? api.url);
  closers.push(() => servers.close());
  state.writeServerFile({ url: api.url, pid: process.pid, version: entries.version, startedAtMs });
  return { url: api.url, asked: asked.promise };
}

/** A store that is this server's own need not say which server has a log. */
function openTaskLogs({ state, log }: Building, { engine, logPlaces }: Store): DiskTaskLogs {
  const note = async ({ key, execution, state: name }: TaskLogAbout): Promise<void> => {
    const task = key.slice(execution.length + 1);
    const startedAtMs = systemClock.now();
    await logPlaces.note({ execution, task, server: state.id, state: name, startedAtMs });
  };
  const place = [state.file('pipelines/logs'), systemClock, log] as const;
  return engine === 'postgres' ? new DiskTaskLogs(...place, note) : new DiskTaskLogs(...place);
}

async function buildStore({ settings, entries, around, state, closers }: Building): Promise<Store> {
  const { databaseUrl } = settings;
  const store = await openStore(
    databaseUrl === undefined
      ? { kind: 'sqlite', file: state.file('kiln.db') }
      : { kind: 'postgres', url: databaseUrl },
    { clock: systemClock, readerEntry: entries.storeReader },
  );
  closers.push(() => store.close());
  return around.store?.(store) ?? store;
}
