/** Pipelines: what runs them, what starts them, who helps with their tasks, and how long they are kept. */
import { randomBytes, randomUUID } from 'node:crypto';
import { readGitFacts } from '../bakery/git-facts.ts';
import { EngineClient } from '../docker/engine-client.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Mirrors } from '../pipeline/checkout/mirrors.ts';
import { CommandSandbox } from '../pipeline/commands/command-sandbox.ts';
import { Commands } from '../pipeline/commands/commands.ts';
import { secretFolder } from '../pipeline/commands/secret-folder.ts';
import { Services } from '../pipeline/commands/services.ts';
import { Sources } from '../pipeline/commands/source.ts';
import { resourceName } from '../pipeline/definition/resources.ts';
import type { LimitOf } from '../pipeline/definition/verb-limits.ts';
import { Executor } from '../pipeline/executor/executor.ts';
import { Overdue } from '../pipeline/executor/overdue.ts';
import { SingleTasks } from '../pipeline/executor/single-tasks.ts';
import { TaskTokens } from '../pipeline/executor/task-tokens.ts';
import { Retention } from '../pipeline/history/retention.ts';
import type { DiskTaskLogs } from '../pipeline/logs/task-logs.ts';
import { deploymentHeldUpBy, PauseGate } from '../pipeline/pause-gate.ts';
import { Pipelines } from '../pipeline/pipelines.ts';
import { startOther } from '../pipeline/start-other.ts';
import type { SourceHere } from '../pipeline/task.ts';
import { makeTasks } from '../pipeline/task-registry.ts';
import { forgetEvents, forgetMirrors } from '../pipeline/triggers/forgetting.ts';
import type { Verbs } from '../pipeline/verbs.ts';
import { WorkerJobs } from '../pipeline/workers/worker-jobs.ts';
import type { ApprovalEvidence } from './approval-evidence.ts';
import { openArtifacts } from './artifacts.ts';
import type { Building } from './building.ts';
import { describeFolder } from './describe-folder.ts';
import { openCheckouts, openTriggers, type Triggers } from './pipeline-triggers.ts';
import { Rounds } from './rounds.ts';
import { givenSealingKey, ownSealingKey } from './sealing-key.ts';
import { systemClock } from './system-clock.ts';
import { openWebhooks, reportStatuses } from './webhooks.ts';

const GIT_LIMIT_MS = 30_000;
const OVERDUE_EVERY_MS = 600_000;
const FORGET_EVERY_MS = 3_600_000;
const RESTORE_LIMIT_MS = 10 * 60_000;

type Webhooks = Awaited<ReturnType<typeof openWebhooks>>;

interface PipelineNeeds {
  readonly store: Store;
  readonly verbs: Verbs;
  readonly holder: string;
  /** How this server's names as a holder begin, where others may hold executions too. */
  readonly home: string | undefined;
  readonly taskLogs: DiskTaskLogs;
  readonly evidence: ApprovalEvidence;
  readonly limitOf: LimitOf;
}

export async function buildPipelines(
  building: Building,
  { store, verbs, holder, home, taskLogs, evidence, limitOf }: PipelineNeeds,
): Promise<{
  pipelines: Pipelines;
  taskTokens: TaskTokens;
  singleTasks: SingleTasks;
  workerJobs: WorkerJobs;
  triggers: Triggers;
  webhooks: Webhooks;
}> {
  const { settings, log, state, closers } = building;
  const { path: searchPath, dockerSocket } = settings;
  const engine = new EngineClient(dockerSocket);
  closers.push(() => engine.close());
  const around = { settings, state, store, log };
  const checkouts = await openCheckouts(around);
  closers.push(() => checkouts.folders.close());
  const sourceHere: SourceHere = (input, given, signal) => checkouts.folders.here(input, given, signal);
  const { artifacts, transfers } = openArtifacts(settings, state, building.entries.itemThread, sourceHere);
  const sources = new Sources(checkouts.checkout);
  const commands = new Commands({
    artifacts,
    sources,
    stateDirectory: state.path,
    searchPath,
    dockerSocket,
    sandbox: new CommandSandbox({
      stateDirectory: state.path,
      searchPath,
      home: settings.userHome,
      bwrap: settings.bwrap,
      dockerSocket,
      warn: (why) => log.warn({ package: 'bubblewrap' }, why),
    }),
    secrets: secretFolder(state.file('secrets')),
    logs: taskLogs,
    services: new Services(engine, state.path),
    clock: systemClock,
    newId: randomUUID,
  });
  await commands.sweep();
  const secrets = secretFolder(state.file('secrets'));
  const files = {
    artifacts,
    sources,
    clock: systemClock,
    searchPath,
    newId: randomUUID,
    folder: state.file('pipelines/travelling'),
  };
  const workerJobs = new WorkerJobs({
    logs: taskLogs,
    secrets,
    files,
    newId: randomUUID,
    server: state.id,
  });
  await workerJobs.sweep();
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
    sourceHere,
    places: settings.pipelineTasks,
    limitOf,
  });
  const pipelines = new Pipelines({
    home,
    heldUpBy: async (key, waiting) => workerJobs.heldUpBy(key) ?? deploymentHeldUpBy(pauses, waiting),
    lastSaid: (execution, task) => taskLogs.lastLine(execution, task),
    evidenceFor: (images, environments) => evidence.of(images, environments),
    store: store.executions,
    events: store.events,
    machines: executor.machines,
    clock: systemClock,
    newId: randomUUID,
    longestMs: settings.longestExecutionMs,
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
  const key =
    settings.keyFile === undefined
      ? await ownSealingKey(state.file('key'))
      : await givenSealingKey(settings.keyFile);
  const webhooks = await openWebhooks(store, systemClock, key, state.file('webhooks'), log);
  const statuses = reportStatuses(store, systemClock, state.file('secrets'), log);
  closers.push(() => statuses.close());
  endAndForget(building, store, taskLogs, checkouts.mirrors);
  return { pipelines, taskTokens, singleTasks, workerJobs, triggers, webhooks };
}

/** Executions do not stay open for ever, nor is what they and their triggers have left kept so. */
function endAndForget(
  { settings, log, closers }: Building,
  store: Store,
  taskLogs: DiskTaskLogs,
  mirrors: Mirrors,
): void {
  const clock = systemClock;
  const { triggers, executions, executionHistory: history } = store;
  const { keepExecutions: keeping, keepTriggers, longestExecutionMs: longestMs } = settings;
  const retention = new Retention({ history, executions, logs: taskLogs, keeping, clock, log });
  const overdue = new Overdue({ executions, longestMs, clock, log });
  const comesRound = (
    everyMs: number,
    onFailure: string,
    round: (signal: AbortSignal) => Promise<unknown>,
  ) => {
    const rounds = new Rounds({ everyMs, clock, log, onFailure }, round);
    closers.push(() => rounds.close());
    rounds.start();
  };
  comesRound(OVERDUE_EVERY_MS, 'overdue executions could not be ended', () => overdue.round());
  comesRound(FORGET_EVERY_MS, 'old executions could not be removed', (signal) => retention.round(signal));
  comesRound(FORGET_EVERY_MS, 'old events of triggers could not be removed', (signal) =>
    forgetEvents(triggers, clock.now() - keepTriggers.eventsMs, signal),
  );
  comesRound(FORGET_EVERY_MS, 'unused mirrors of repositories could not be removed', (signal) =>
    forgetMirrors(mirrors, triggers, clock.now() - keepTriggers.mirrorsMs, signal),
  );
}
