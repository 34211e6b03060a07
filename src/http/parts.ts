/** What the HTTP surface works with, as narrow as its handlers need it; the composition root hands it in. */
import type { Answer } from '../api/contract.ts';
import type { Bakery } from '../bakery/bakery.ts';
import type { ImageFiles } from '../bakery/image-files.ts';
import type { Janitor } from '../catalog/janitor.ts';
import type { Rebakes } from '../catalog/rebakes.ts';
import type { CheckRuns } from '../checks/check-runs.ts';
import type { CallAttempt } from '../domain/change.ts';
import type { Strategy } from '../domain/component.ts';
import type { Deployment, OnConflict } from '../domain/deployment.ts';
import type { ComponentName, DeploymentId, EnvironmentName, ReleaseNumber } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { KnownServer } from '../domain/known-server.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { RouterStatus } from '../domain/ports/router.ts';
import type { Store } from '../domain/ports/store.ts';
import type { LogLine, LogQuery } from '../domain/ports/target.ts';
import type { ExecutionGraph } from '../pipeline/execution-graph.ts';
import type { SingleTasks } from '../pipeline/executor/single-tasks.ts';
import type { TaskTokens } from '../pipeline/executor/task-tokens.ts';
import type { PipelineHealth } from '../pipeline/health/pipeline-health.ts';
import type { DiskTaskLogs } from '../pipeline/logs/task-logs.ts';
import type { Pipelines } from '../pipeline/pipelines.ts';
import type { AskedStarts } from '../pipeline/triggers/asked-starts.ts';
import type { Poller } from '../pipeline/triggers/poller.ts';
import type { Sources } from '../pipeline/triggers/sources.ts';
import type { WebhookReceiver } from '../pipeline/webhooks/receiver.ts';
import type { WebhookRegistry } from '../pipeline/webhooks/webhook-registry.ts';
import type { WorkerJobs } from '../pipeline/workers/worker-jobs.ts';
import type { Transfers } from '../registry/transfers.ts';
import type { Sboms } from '../scan/sbom/sboms.ts';
import type { Scans } from '../scan/scans.ts';
import type { GateLimits } from './webhook-gate.ts';

/** A file of the page, as it is answered. */
export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** As the deployer knows it: addresses are added by who knows the router's. */
export type ServiceStatus = Omit<Answer<'services.get'>, 'urls' | 'deployment'> & {
  readonly deployment?: Deployment;
};
type Plan = Omit<Answer<'plan.show'>, 'component' | 'environment'>;

export type BakeryPart = Pick<Bakery, 'start' | 'get' | 'wait' | 'follow' | 'cancel'>;
export type ChecksPart = Pick<CheckRuns, 'start' | 'get' | 'wait'>;

export interface DeployWish {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
  readonly what: { readonly image: Image } | { readonly release: ReleaseNumber };
  readonly strategy?: Strategy;
  readonly actor: string;
}

type DeployOutcome =
  | { readonly kind: 'unchanged'; readonly release: ReleaseName }
  | { readonly kind: 'started'; readonly release: ReleaseName; readonly deployment: Deployment };

interface ReleaseName {
  readonly number: ReleaseNumber;
  readonly version: string;
}

interface DeployerPart {
  deploy(
    request: DeployWish & { readonly onConflict: OnConflict; readonly attempt?: CallAttempt },
  ): Promise<DeployOutcome>;
  plan(request: DeployWish, signal: AbortSignal): Promise<Plan>;
  rollback(request: {
    readonly component: ComponentName;
    readonly environment: EnvironmentName;
    readonly to?: ReleaseNumber;
    readonly onConflict: OnConflict;
    readonly actor: string;
    readonly attempt?: CallAttempt;
  }): Promise<Deployment>;
  cancel(id: DeploymentId, actor: string, attempt?: CallAttempt): Promise<void>;
  wait(id: DeploymentId, timeoutMs: number, signal: AbortSignal): Promise<Deployment>;
  stop(
    component: ComponentName,
    environment: EnvironmentName,
    actor: string,
    attempt?: CallAttempt,
  ): Promise<void>;
}

interface ServicesPart {
  list(
    filter: { readonly component?: ComponentName; readonly environment?: EnvironmentName },
    signal: AbortSignal,
  ): Promise<readonly ServiceStatus[]>;
  logs(
    component: ComponentName,
    environment: EnvironmentName,
    query: LogQuery,
    signal: AbortSignal,
  ): AsyncIterable<LogLine>;
}

interface ServerPart {
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly stateDirectory: string;
  targets(signal: AbortSignal): Promise<Answer<'server.get'>['targets']>;
  /** Begins to stop; returns the services whose instances it stops. The server goes once this is answered. */
  down(options: { readonly instances: boolean; readonly actor: string }): Promise<readonly string[]>;
}

/** Those that work on the same store, this one among them. */
export interface ServersPart {
  /** Of this server. */
  readonly id: string;
  /** Name of its machine. */
  readonly host: string;
  list(): Promise<readonly KnownServer[]>;
  get(id: string): Promise<KnownServer | undefined>;
}

interface HttpLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface HttpParts {
  readonly store: Pick<
    Store,
    | 'engine'
    | 'images'
    | 'catalogue'
    | 'janitor'
    | 'channels'
    | 'channelPolicies'
    | 'findings'
    | 'releases'
    | 'deployments'
    | 'executions'
    | 'executionHistory'
    | 'logPlaces'
    | 'triggers'
    | 'services'
    | 'tokens'
    | 'webhooks'
    | 'idempotency'
    | 'pauses'
    | 'events'
    | 'audit'
    | 'ping'
  >;
  readonly bakery: BakeryPart;
  readonly checks: ChecksPart;
  readonly sboms: Pick<Sboms, 'of' | 'openable'>;
  readonly scans: Pick<Scans, 'start' | 'wait' | 'verdict'>;
  readonly transfers: Pick<Transfers, 'push' | 'pull' | 'get' | 'wait' | 'cancel'>;
  readonly deployer: DeployerPart;
  readonly imageFiles: Pick<ImageFiles, 'changes' | 'verify'>;
  readonly rebakes: Pick<Rebakes, 'status' | 'recent' | 'retry'>;
  readonly janitor: Pick<Janitor, 'run' | 'explain' | 'policy'>;
  readonly pipelines: Pick<
    Pipelines,
    'start' | 'parameters' | 'again' | 'show' | 'history' | 'cancel' | 'decide' | 'wait'
  >;
  readonly singleTasks: Pick<SingleTasks, 'run'>;
  readonly taskTokens: Pick<TaskTokens, 'answer'>;
  readonly workerJobs: Pick<
    WorkerJobs,
    'take' | 'begin' | 'release' | 'beat' | 'log' | 'end' | 'source' | 'fetch' | 'send' | 'keep'
  >;
  readonly executionGraph: (id: string) => Promise<ExecutionGraph>;
  readonly pipelineHealth: Pick<PipelineHealth, 'all' | 'of'>;
  readonly taskLogs: Pick<DiskTaskLogs, 'list' | 'follow' | 'window' | 'text'>;
  readonly webhooks: {
    readonly receiver: Pick<WebhookReceiver, 'receive'>;
    readonly registry: Pick<WebhookRegistry, 'add' | 'remove'>;
    readonly limits: GateLimits;
  };
  readonly chat: {
    /** That Slack signs with; undefined: there is none, and nobody is listened to. */
    readonly slackSecret: () => Promise<string | undefined>;
    /** Name of a token by the Slack user who has its rights. */
    readonly users: Readonly<Record<string, string>>;
  };
  readonly askedStarts: Pick<AskedStarts, 'ofRepository' | 'ofSource' | 'check' | 'start'>;
  readonly sources: Pick<Sources, 'watch' | 'get' | 'remove' | 'ask' | 'pushed'>;
  readonly poller: Pick<Poller, 'stateOf'>;
  readonly services: ServicesPart;
  readonly router: { status(signal: AbortSignal): Promise<RouterStatus> };
  readonly server: ServerPart;
  readonly servers: ServersPart;
  /** Files of the page by the path they are served at. */
  readonly page: ReadonlyMap<string, PageFile>;
  readonly clock: Clock;
  readonly log: HttpLog;
  /** Names this server in what it holds in the store. */
  readonly holder: string;
  /** Random bytes for secrets and request ids. */
  readonly randomBytes: (count: number) => Uint8Array;
  /** Host names, beside those of loopback, by which the server may be called. */
  readonly hosts: readonly string[];
}
