/** The composition root: every part is built here, by hand, and closed in the opposite order. */
import { randomBytes, randomUUID } from 'node:crypto';
import { rmdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import type { Logger } from 'pino';
import { Bakery } from './bakery/bakery.ts';
import { FileBlobStore } from './bakery/blobs.ts';
import { Baker } from './bakery/bundle/baker.ts';
import { containerArchive } from './bakery/container/container-archive.ts';
import { ContainerBuilder } from './bakery/container/container-builder.ts';
import { readGitFacts } from './bakery/git-facts.ts';
import { ImageFiles } from './bakery/image-files.ts';
import { MachineBuilder } from './bakery/machine/machine-builder.ts';
import { artifactKind } from './bakery/oci-layout.ts';
import { Janitor } from './catalog/janitor.ts';
import { Rebakes } from './catalog/rebakes.ts';
import { CheckRuns } from './checks/check-runs.ts';
import { readComponent } from './component/read.ts';
import { Deployer } from './deploy/deployer.ts';
import { Owners } from './deploy/owners.ts';
import type { DeployParts } from './deploy/parts.ts';
import { serviceLogs } from './deploy/service-logs.ts';
import { serviceStatuses } from './deploy/status.ts';
import { EngineClient } from './docker/engine-client.ts';
import { serviceKey } from './domain/ids.ts';
import type { Router } from './domain/ports/router.ts';
import type { Store } from './domain/ports/store.ts';
import type { Target } from './domain/ports/target.ts';
import { createApp } from './http/app.ts';
import { checkListen } from './http/listen.ts';
import { readPageFiles } from './http/page.ts';
import { Commands } from './pipeline/commands/commands.ts';
import { secretFolder } from './pipeline/commands/secret-folder.ts';
import { Services } from './pipeline/commands/services.ts';
import { resourceName } from './pipeline/definition/resources.ts';
import { executionGraph } from './pipeline/execution-graph.ts';
import { Executor } from './pipeline/executor.ts';
import { PipelineHealth } from './pipeline/health/pipeline-health.ts';
import { Retention } from './pipeline/history/retention.ts';
import { DiskTaskLogs } from './pipeline/logs/task-logs.ts';
import { Machines } from './pipeline/machines.ts';
import { Overdue } from './pipeline/overdue.ts';
import { deploymentHeldUpBy, PauseGate } from './pipeline/pause-gate.ts';
import { Pipelines } from './pipeline/pipelines.ts';
import { SingleTasks } from './pipeline/single-tasks.ts';
import { startOther } from './pipeline/start-other.ts';
import { makeTasks } from './pipeline/task-registry.ts';
import { TaskTokens } from './pipeline/task-tokens.ts';
import type { Verbs } from './pipeline/verbs.ts';
import { WorkerJobs } from './pipeline/workers/worker-jobs.ts';
import { credentialsFromFile } from './registry/credentials.ts';
import { KnownPlaces } from './registry/known-places.ts';
import { Transfers } from './registry/transfers.ts';
import { openRouter } from './routing/open-router.ts';
import { SBOM_TYPE } from './scan/sbom/cyclonedx.ts';
import { Sboms } from './scan/sbom/sboms.ts';
import { sweepScans } from './scan/scanners/scanner.ts';
import { Scans } from './scan/scans.ts';
import { ensureAdminToken } from './server/admin-token.ts';
import { artifactRemovals } from './server/artifact-removals.ts';
import { openArtifacts } from './server/artifacts.ts';
import { describeFolder } from './server/describe-folder.ts';
import { stopEverything } from './server/down.ts';
import { ImageChecker } from './server/image-checker.ts';
import { imageVerbs } from './server/image-verbs.ts';
import { JanitorRounds } from './server/janitor-rounds.ts';
import { machineToolsPath, machineTrials } from './server/machine-checks.ts';
import { openCheckouts, openTriggers, type Triggers } from './server/pipeline-triggers.ts';
import { pipelineVerbs } from './server/pipeline-verbs.ts';
import { rebakeWork } from './server/rebake-work.ts';
import { releaseChecker } from './server/release-checker.ts';
import { assertListenIsFree, listenForApi, routerListen } from './server/sockets.ts';
import { openStateDirectory, type StateDirectory } from './server/state-directory.ts';
import { systemClock } from './server/system-clock.ts';
import { targetReports } from './server/target-report.ts';
import { unpackToScan } from './server/unpack-to-scan.ts';
import { VerbLogs } from './server/verb-logs.ts';
import { openWebhooks, reportStatuses } from './server/webhooks.ts';
import type { Settings } from './settings.ts';
import { openStore } from './store/open.ts';
import { TARGETS } from './targets/registry.ts';

/** This machine's, in the words of artifacts. */
const ARCH = process.arch === 'x64' ? 'amd64' : process.arch;
const BAKE_THREADS = 2;
const GIT_LIMIT_MS = 30_000;
const RESTORE_LIMIT_MS = 10 * 60_000;
const BAKER_IDLE_MS = 120_000;
/** Blobs of a pull that is not recorded yet are younger. */
const BLOBS_SPARED_MS = 24 * 3600_000;
const REGISTRY_PATIENCE_MS = 120_000;

/** Entry files of the processes and threads that the server starts, and what tells one build from another. */
export interface Entries {
  readonly node: string;
  readonly router: string;
  readonly baker: string;
  readonly bakeWorker: string;
  readonly storeReader: string;
  /** Folder of the built page. */
  readonly page: string;
  readonly version: string;
  readonly build: string;
}

/** Lets a caller put something around the parts that act on the outside, such as a fault test that counts acts. */
export interface Surroundings {
  readonly store?: (store: Store) => Store;
  readonly target?: (target: Target) => Target;
  readonly router?: (router: Router) => Router;
}

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
  checkListen({ ...settings.listen, ...(settings.tls === undefined ? {} : { tls: settings.tls }) });
  const closers: (() => Promise<void> | void)[] = [];
  const closing = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const state = await openStateDirectory(settings.stateDirectory, { takeOver: settings.takeOver });
    closers.push(() => state.release());
    return await build({ settings, entries, log, around, state, closers, closing });
  } catch (error) {
    await closing();
    throw error;
  }
}

interface Building {
  readonly settings: Settings;
  readonly entries: Entries;
  readonly log: Logger;
  readonly around: Surroundings;
  readonly state: StateDirectory;
  readonly closers: (() => Promise<void> | void)[];
  readonly closing: () => Promise<void>;
}

async function build(building: Building): Promise<KilnServer> {
  const { settings, entries, log, state, closers, closing } = building;
  const startedAtMs = systemClock.now();
  await assertListenIsFree(settings.listen);
  const store = await buildStore(building);
  const { bakery, blobs, unpack } = await buildBakery(building, store);
  const sboms = new Sboms(blobs, state.file('cache/sboms'));
  const scans = new Scans({
    store,
    sboms,
    clock: systemClock,
    ...settings.scan,
    host: {
      temporary: state.file('tmp'),
      searchPath: settings.path,
      bwrap: settings.bwrap,
      isRoot: process.getuid?.() === 0,
      unpack: unpackToScan(blobs, unpack),
      newId: randomUUID,
    },
    newId: randomUUID,
  });
  await sweepScans(state.file('tmp'));
  closers.push(() => scans.close());
  const transfers = new Transfers({
    store,
    blobs,
    clock: systemClock,
    credentials: credentialsFromFile(settings.registryLogins),
    plainHttp: settings.plainHttpRegistries,
    places: await KnownPlaces.open(state.file('registry/places.json')),
    attachmentsOf: async (image, signal) =>
      (await sboms.openable(image)) === undefined
        ? []
        : [{ type: SBOM_TYPE, text: await sboms.of(image, signal) }],
    newId: randomUUID,
    random: Math.random,
    patienceMs: REGISTRY_PATIENCE_MS,
  });
  closers.push(() => transfers.close());
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

  const removalEngine = new EngineClient(settings.dockerSocket);
  closers.push(() => removalEngine.close());
  const isShared = store.engine === 'postgres';
  const collectBlobs = () =>
    bakery.collect(async () => new Set(await store.images.artifacts()), {
      unusedMs: BLOBS_SPARED_MS,
      isShared,
    });
  const janitor = new Janitor({
    store,
    clock: systemClock,
    collectBlobs,
    removals: artifactRemovals(settings, removalEngine, store),
    policy: settings.retention,
  });
  const rounds = new JanitorRounds({
    janitor,
    store: store.janitor,
    events: store.events,
    keepEventsMs: settings.keepEventsMs,
    clock: systemClock,
    log,
    ...(isShared ? { collectBlobs } : {}),
  });
  closers.push(() => rounds.close());
  rounds.start();

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
  const taskLogs = new DiskTaskLogs(state.file('pipelines/logs'), systemClock, log);
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
  const { pipelines, taskTokens, singleTasks, workerJobs, triggers } = await buildPipelines(building, {
    store,
    verbs,
    holder,
    taskLogs,
  });

  const webhooks = await openWebhooks(store, systemClock, state.file('webhooks'));
  const statuses = reportStatuses(store, systemClock, state.file('secrets'), log);
  closers.push(() => statuses.close());

  const retention = new Retention({
    history: store.executionHistory,
    executions: store.executions,
    logs: taskLogs,
    keeping: settings.keepExecutions,
    clock: systemClock,
    log,
  });
  closers.push(() => retention.close());
  retention.start();
  const overdue = new Overdue({
    executions: store.executions,
    longestMs: settings.longestExecutionMs,
    clock: systemClock,
    log,
  });
  closers.push(() => overdue.close());
  overdue.start();

  const asked = Promise.withResolvers<void>();
  const app = createApp({
    store,
    router,
    log,
    clock: systemClock,
    holder,
    randomBytes,
    hosts: settings.hosts,
    page: await readPageFiles(entries.page),
    bakery,
    checks,
    sboms,
    scans,
    transfers,
    imageFiles: new ImageFiles(blobs),
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
    poller: triggers.poller,
    webhooks,
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
        // Answered first, so that whoever asked learns of it.
        setTimeout(() => asked.resolve(), 100);
        if (!instances) return [];
        await owners.close();
        return stopEverything(deploy, holder);
      },
    },
  });
  await ensureAdminToken(store, state.file('token'), systemClock);
  const api = await listenForApi(settings, app.fetch);
  closers.push(() => api.close());
  // Before the socket: it ends streams and waiting calls, which closing would otherwise wait for.
  closers.push(() => app.close());
  state.writeServerFile({ url: api.url, pid: process.pid, version: entries.version, startedAtMs });
  return { url: api.url, asked: asked.promise, close: closing };
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

async function buildBakery(
  { settings, entries, state, closers }: Building,
  store: Store,
): Promise<{ bakery: Bakery; blobs: FileBlobStore; unpack: Unpack }> {
  const blobs = new FileBlobStore(state.file('blobs'));
  const builder = new Baker({
    blobs,
    entry: entries.baker,
    workerEntry: entries.bakeWorker,
    threads: BAKE_THREADS,
    idleMs: BAKER_IDLE_MS,
    stateDirectory: state.path,
    host: { searchPath: settings.path, network: settings.buildNetwork, bwrap: settings.bwrap },
    arch: ARCH,
    randomId: () => randomBytes(6).toString('hex'),
  });
  closers.push(() => builder.close());
  const containers = new ContainerBuilder({
    client: new EngineClient(settings.dockerSocket),
    blobs,
    stateDirectory: state.path,
    randomId: randomUUID,
    grants: settings.builds,
  });
  const machines = new MachineBuilder({
    blobs,
    stateDirectory: state.path,
    host: {
      searchPath: machineToolsPath(settings),
      network: settings.buildNetwork,
      ...settings.providers,
    },
    clock: systemClock,
    arch: ARCH,
    isRoot: process.getuid?.() === 0,
    randomId: randomUUID,
  });
  const bakery = new Bakery({
    store,
    blobs,
    builders: [builder, containers, machines],
    clock: systemClock,
    stateDirectory: state.path,
    origin: { server: state.id, host: hostname() },
    readDefinition: async (directory) => {
      builder.prepare();
      return (await readComponent(directory)).definition;
    },
    readGitFacts,
    cachedLayers: (sinceMs) => builder.cachedLayers(sinceMs),
    randomId: randomUUID,
  });
  await bakery.sweep();
  await machines.sweep();
  closers.push(() => bakery.close());
  return { bakery, blobs, unpack: unpackInto(builder) };
}

type Unpack = Parameters<(typeof TARGETS)[string]>[0]['unpack'];

/** The bakery makes the directory itself, in one step when all is there. */
function unpackInto(builder: Baker): Unpack {
  return async (digest, directory, signal) => {
    await rmdir(directory);
    await builder.unpack(digest, directory, signal);
  };
}

interface PipelineNeeds {
  readonly store: Store;
  readonly verbs: Verbs;
  readonly holder: string;
  readonly taskLogs: DiskTaskLogs;
}

async function buildPipelines(
  { settings, log, state, closers }: Building,
  { store, verbs, holder, taskLogs }: PipelineNeeds,
): Promise<{
  pipelines: Pipelines;
  taskTokens: TaskTokens;
  singleTasks: SingleTasks;
  workerJobs: WorkerJobs;
  triggers: Triggers;
}> {
  const { path: searchPath, bwrap } = settings;
  const engine = new EngineClient(settings.dockerSocket);
  closers.push(() => engine.close());
  const { artifacts, transfers } = openArtifacts(settings, state);
  const commands = new Commands({
    artifacts,
    stateDirectory: state.path,
    searchPath,
    bwrap,
    secrets: secretFolder(state.file('secrets')),
    logs: taskLogs,
    services: new Services(engine, state.path),
    clock: systemClock,
    newId: randomUUID,
  });
  await commands.sweep();
  const secrets = secretFolder(state.file('secrets'));
  const workerJobs = new WorkerJobs({ logs: taskLogs, secrets, newId: randomUUID });
  const pauses = new PauseGate({ pauses: store.pauses, events: store.events, clock: systemClock });
  const tasks = makeTasks({
    verbs,
    clock: systemClock,
    fetch,
    mayDeploy: (environment, sinceMs, signal) => pauses.passes(environment, sinceMs, signal),
    runCommand: (wish, call, signal) => commands.run(wish, call, signal),
    runOnWorker: (wish, labels, call, signal) => workerJobs.run(wish, labels, call, signal),
    startOther: (wish, call, signal) => startOther(pipelines, wish, call, signal),
  });
  const executor = new Executor({
    store: store.executions,
    events: store.events,
    clock: systemClock,
    log,
    holder,
    shares: store.engine === 'postgres',
    randomBytes,
    tasks,
    taskName: resourceName,
    transfers,
    places: settings.pipelineTasks,
  });
  const around = { settings, state, store, log };
  const checkouts = await openCheckouts(around);
  closers.push(() => checkouts.folders.close());
  const pipelines = new Pipelines({
    heldUpBy: async (key, waiting) => workerJobs.heldUpBy(key) ?? deploymentHeldUpBy(pauses, waiting),
    lastSaid: (execution, task) => taskLogs.lastLine(execution, task),
    store: store.executions,
    events: store.events,
    machines: executor.machines,
    clock: systemClock,
    newId: randomUUID,
    describe: describeFolder,
    commitOf: async (directory) => {
      const { sha = null, describe = null } =
        (await readGitFacts(directory, AbortSignal.timeout(GIT_LIMIT_MS))) ?? {};
      return { sha, version: sha ?? describe };
    },
    restore: (input) => checkouts.folders.restore(input, AbortSignal.timeout(RESTORE_LIMIT_MS)),
  });
  await executor.start();
  closers.push(() => executor.close());
  const triggers = openTriggers(around, checkouts, pipelines, holder);
  closers.push(() => triggers.keeper.close());
  const known = { store: store.executions, machines: executor.machines, clock: systemClock };
  const taskTokens = new TaskTokens(known);
  const singleTasks = new SingleTasks(known);
  return { pipelines, taskTokens, singleTasks, workerJobs, triggers };
}

async function buildTargets(
  { settings, around, state, log, closers }: Building,
  blobs: FileBlobStore,
  unpack: Unpack,
): Promise<ReadonlyMap<string, Target>> {
  const targets = new Map<string, Target>();
  for (const [name, create] of Object.entries(TARGETS)) {
    const target = await create({
      stateDirectory: state.path,
      hiddenPaths: settings.hiddenPaths,
      path: settings.path,
      unpack,
      kindOf: (artifact) => artifactKind(blobs, artifact),
      containerArchive: (artifact, name, signal) => containerArchive(blobs, artifact, name, signal),
      dockerSocket: settings.dockerSocket,
      clock: systemClock,
      log,
    });
    closers.push(() => target.close());
    targets.set(name, around.target?.(target) ?? target);
  }
  return targets;
}

async function buildRouter({ settings, entries, around, state, log, closers }: Building): Promise<Router> {
  const router = await openRouter({
    driver: settings.router.driver,
    clock: systemClock,
    nodePath: entries.node,
    entry: entries.router,
    stateDirectory: path.join(state.path, 'router'),
    listen: await routerListen(settings.router, state.file('router-port')),
    build: entries.build,
    log,
  });
  closers.push(() => router.close());
  await router.start(AbortSignal.timeout(30_000));
  return around.router?.(router) ?? router;
}
