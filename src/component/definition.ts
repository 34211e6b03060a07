/** From what the author wrote to what it means: every default of `kiln.yaml` has its home here; those of the image are in image-definition.ts. */
import type { ChannelPolicy } from '../domain/channel-demands.ts';
import type {
  ComponentDefinition,
  ConfigSpec,
  DeploySpec,
  EnvironmentSpec,
  HealthSpec,
  Instances,
  ProcessSpec,
  RouteSpec,
  StopPolicy,
  VolumeSpec,
} from '../domain/component.ts';
import { type ChannelName, channelName, componentName, environmentName, processName } from '../domain/ids.ts';
import type { ChannelsInput } from './channel-shape.ts';
import { defineImage } from './image-definition.ts';
import { healthMap, type MergedInput, mergeEnvironment, WEB } from './merge.ts';
import type { HealthInput, InstancesInput, ProcessInput } from './process-shape.ts';
import { durationMs, parsePercent } from './quantities.ts';
import { channelOf, expandRoutes } from './resolve-environment.ts';
import type { ComponentFile } from './schema.ts';
import type { DeployInput } from './traffic-shape.ts';
import { type Written, withWrittenValues } from './written-values.ts';

const STANDARD_HEALTH_PATH = '/service/healthcheck/gtg';
const DEFAULT_HOST = '{component}.{environment}.localhost';
/** Where each kind of artifact runs unless the file says otherwise. */
const DEFAULT_TARGET = { bundle: 'local', container: 'docker', machine: 'local' } as const;
const DEFAULT_PORT = 8080;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const DEFAULT_STOP: StopPolicy = { signals: ['SIGTERM', 'SIGINT', 'SIGKILL'], graceMs: 30 * SECOND_MS };
const DEFAULT_CANARY_STEPS = [10, 50];

/** The file has passed its rules; `written` finds scalars as text. */
export function defineComponent(file: ComponentFile, written: Written): ComponentDefinition {
  const component = componentName(file.component);
  const image = defineImage(file.image ?? {}, written);
  const base = withWrittenValues(file, written);
  const environments: Record<string, EnvironmentSpec> = {};
  for (const [name, over] of Object.entries(base.environments ?? {})) {
    const environment = environmentName(name);
    const spec = defineEnvironment(mergeEnvironment(base, over), base);
    const { channel: _, ...rest } = spec;
    const channel = channelOf(environment, over.channel);
    environments[environment] = {
      ...rest,
      routes: expandRoutes(spec.routes, component, environment),
      ...(channel !== undefined && { channel }),
    };
  }
  return {
    component,
    ...(file.version !== undefined && { version: file.version }),
    image,
    defaults: defineEnvironment(mergeEnvironment(base), base),
    environments,
    ...(file.channels !== undefined && { channels: defineChannels(file.channels) }),
    ...(file.pipeline !== undefined && { pipeline: file.pipeline }),
  };
}

function defineChannels(channels: ChannelsInput): Readonly<Record<ChannelName, ChannelPolicy>> {
  return Object.fromEntries(
    Object.entries(channels).map(([name, { checks = [], approvals = 0, after }]) => [
      name,
      {
        checks,
        approvals,
        ...(after !== undefined && {
          after: { channel: channelName(after.channel), heldMs: durationMs(after.held, 0) },
        }),
      },
    ]),
  );
}

export function defineEnvironment(merged: MergedInput, file: ComponentFile): EnvironmentSpec {
  const processes = Object.entries(merged.processes).map(([name, process]) =>
    defineProcess(name, process, file.image?.run),
  );
  return {
    processes,
    config: defineConfig(merged),
    deploy: defineDeploy(merged.deploy),
    routes: defineRoutes(merged, processes),
    ...(merged.migrate !== undefined && { migrate: merged.migrate }),
    checks: merged.checks,
    target: merged.target ?? DEFAULT_TARGET[file.image?.kind ?? 'bundle'],
    ...(file.image?.runtime !== undefined && { runtime: file.image.runtime }),
  };
}

function defineProcess(name: string, process: ProcessInput, imageRun: string | undefined): ProcessSpec {
  const listening = listens(name, process);
  const standard = process.standard ?? false;
  return {
    name: processName(name),
    run: process.run ?? (name === WEB ? imageRun : undefined) ?? '',
    listens: listening,
    ...(listening && { port: process.port ?? DEFAULT_PORT, health: defineHealth(process.health, standard) }),
    standard,
    instances: defineInstances(process.instances ?? 1),
    stop: defineStop(process.stop),
    volumes: (process.volumes ?? []).map(defineVolume),
  };
}

function listens(name: string, process: ProcessInput): boolean {
  return process.listens ?? (name === WEB || process.port !== undefined);
}

function defineHealth(health: HealthInput | undefined, standard: boolean): HealthSpec {
  const { path, interval, timeout, startup } = health === undefined ? {} : healthMap(health);
  return {
    path: path ?? (standard ? STANDARD_HEALTH_PATH : '/'),
    intervalMs: durationMs(interval, 2 * SECOND_MS),
    timeoutMs: durationMs(timeout, 2 * SECOND_MS),
    startupMs: durationMs(startup, MINUTE_MS),
  };
}

function defineInstances(instances: InstancesInput): Instances {
  const given = typeof instances === 'number' ? { desired: instances } : instances;
  const desired = given.desired ?? given.min ?? 1;
  return { min: given.min ?? desired, desired, max: given.max ?? desired };
}

function defineStop(stop: ProcessInput['stop']): StopPolicy {
  const signals = stop?.signals ?? DEFAULT_STOP.signals;
  return {
    signals: signals.at(-1) === 'SIGKILL' ? signals : [...signals, 'SIGKILL'],
    graceMs: durationMs(stop?.grace, DEFAULT_STOP.graceMs),
  };
}

function defineVolume(volume: NonNullable<ProcessInput['volumes']>[number]): VolumeSpec {
  return { name: volume.name, path: tidyPath(volume.path), shared: volume.shared ?? false };
}

/** Without `./`, doubled and closing slashes, so that equal places are equal texts. */
export function tidyPath(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.');
  return `${text.startsWith('/') ? '/' : ''}${parts.join('/')}`;
}

function defineConfig({ config }: MergedInput): ConfigSpec {
  const values = Object.entries(config.values ?? {}).map(([key, value]) => [key, String(value)]);
  return {
    required: config.required ?? [],
    values: Object.fromEntries(values),
    env: config.env ?? 'all',
    files: (config.files ?? []).map(({ template, path }) => ({ template, path: tidyPath(path) })),
  };
}

function defineDeploy(deploy: DeployInput): DeploySpec {
  const strategy = deploy.strategy ?? 'blue-green';
  const steps = deploy.steps?.map((share) => parsePercent(share) ?? 0) ?? DEFAULT_CANARY_STEPS;
  return {
    strategy,
    keepWarmMs: durationMs(deploy.keepWarm, 10 * MINUTE_MS),
    timeoutMs: durationMs(deploy.timeout, 5 * MINUTE_MS),
    batch: deploy.batch ?? 1,
    steps: strategy === 'canary' ? steps : [],
    everyMs: durationMs(deploy.every, 5 * MINUTE_MS),
  };
}

function defineRoutes({ routes }: MergedInput, processes: readonly ProcessSpec[]): readonly RouteSpec[] {
  const main = mainProcess(processes);
  if (routes === undefined) {
    return main === undefined ? [] : [{ host: DEFAULT_HOST, path: '/', process: main.name }];
  }
  return routes.map(({ host, path, process }) => ({
    host,
    path: tidyRoutePath(path ?? '/'),
    process: processName(process ?? main?.name ?? WEB),
  }));
}

/** What a route without a process means: `web`, or else the only one that listens. */
function mainProcess(processes: readonly ProcessSpec[]): ProcessSpec | undefined {
  const listening = processes.filter((process) => process.listens);
  return listening.find(({ name }) => name === WEB) ?? (listening.length === 1 ? listening[0] : undefined);
}

export function tidyRoutePath(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path;
}
