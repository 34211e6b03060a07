/** From what the author wrote to what it means: every default of `kiln.yaml` has its home here. */
import type { ChannelPolicy } from '../domain/channel-demands.ts';
import type {
  BuildStep,
  ComponentDefinition,
  ConfigSpec,
  DeploySpec,
  EnvironmentSpec,
  HealthSpec,
  ImageSpec,
  Instances,
  MachineSpec,
  ProcessSpec,
  Provisioner,
  RebakeSpec,
  RouteSpec,
  StopPolicy,
  VolumeSpec,
} from '../domain/component.ts';
import { type ChannelName, channelName, componentName, environmentName, processName } from '../domain/ids.ts';
import type { ChannelsInput } from './channel-shape.ts';
import type { ImageInput, MachineInput, ProvisionerInput } from './image-shape.ts';
import { healthMap, type MergedInput, mergeEnvironment, WEB } from './merge.ts';
import type { HealthInput, InstancesInput, ProcessInput } from './process-shape.ts';
import { parseDurationMs, parsePercent, parseSizeBytes } from './quantities.ts';
import { channelOf, expandRoutes } from './resolve-environment.ts';
import type { ComponentFile } from './schema.ts';
import type { DeployInput } from './traffic-shape.ts';

const STANDARD_HEALTH_PATH = '/service/healthcheck/gtg';
const DEFAULT_HOST = '{component}.{environment}.localhost';
/** Where each kind of artifact runs unless the file says otherwise. */
const DEFAULT_TARGET = { bundle: 'local', container: 'docker', machine: 'local' } as const;
const DEFAULT_PORT = 8080;
const DEFAULT_DOCKERFILE = 'Dockerfile';
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const STEP_TIMEOUT_MS = 30 * MINUTE_MS;
const DEFAULT_STOP: StopPolicy = { signals: ['SIGTERM', 'SIGINT', 'SIGKILL'], graceMs: 30 * SECOND_MS };
const DEFAULT_CANARY_STEPS = [10, 50];

/** Text of a scalar as it was written, by its path in the file: `1.10` as a value stays `1.10`. */
type Written = (path: readonly (string | number)[]) => string | undefined;

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

/** Numbers and booleans among the config values become the text that the author wrote. */
function withWrittenValues(file: ComponentFile, written: Written): ComponentFile {
  const environments = Object.entries(file.environments ?? {}).map(
    ([name, over]) =>
      [
        name,
        over.config ? { ...over, config: textValues(over.config, ['environments', name]) } : over,
      ] as const,
  );
  function textValues<Config extends NonNullable<ComponentFile['config']>>(
    config: Config,
    path: string[],
  ): Config {
    return { ...config, values: asTexts(config.values ?? {}, [...path, 'config', 'values'], written) };
  }
  return {
    ...file,
    ...(file.config && { config: textValues(file.config, []) }),
    environments: Object.fromEntries(environments),
  };
}

function asTexts(
  values: Readonly<Record<string, string | number | boolean>>,
  path: readonly string[],
  written: Written,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : (written([...path, key]) ?? String(value)),
    ]),
  );
}

function defineImage(image: ImageInput, written: Written): ImageSpec {
  const kind = image.kind ?? 'bundle';
  return {
    kind,
    ...(image.base !== undefined && { base: image.base }),
    build: buildSteps(image.build),
    buildEnvironment: asTexts(image.environment ?? {}, ['image', 'environment'], written),
    include: image.include ?? [],
    exclude: image.exclude ?? [],
    tests: image.tests ?? [],
    ...(Object.keys(image.tags ?? {}).length > 0 && {
      tags: asTexts(image.tags ?? {}, ['image', 'tags'], written),
    }),
    ...(image.rebake !== undefined && image.rebake !== 'never' && { rebake: defineRebake(image.rebake) }),
    ...(kind === 'container' && {
      container: {
        dockerfile: image.container?.dockerfile ?? DEFAULT_DOCKERFILE,
        ...(image.container?.stage !== undefined && { stage: image.container.stage }),
        args: asTexts(image.container?.args ?? {}, ['image', 'container', 'args'], written),
        ...(image.container?.secrets !== undefined && { secrets: image.container.secrets }),
        ...(image.container?.ssh === true && { ssh: true }),
      },
    }),
    ...(kind === 'machine' && image.machine !== undefined && { machine: defineMachine(image.machine) }),
  };
}

function defineRebake(rebake: Exclude<ImageInput['rebake'], 'never' | undefined>): RebakeSpec {
  const { promote } = rebake === 'on-base-change' ? {} : rebake;
  return { promote: promote === undefined ? 'held' : promote.map(channelName) };
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

function buildSteps(build: ImageInput['build']): readonly BuildStep[] {
  const steps = build === undefined ? [] : typeof build === 'string' ? [build] : build;
  return steps.map((step) => {
    if (typeof step === 'string') return { run: step, timeoutMs: STEP_TIMEOUT_MS };
    return {
      run: step.run,
      ...(step.inputs !== undefined && { inputs: step.inputs }),
      ...(step.outputs !== undefined && { outputs: step.outputs }),
      timeoutMs: durationMs(step.timeout, STEP_TIMEOUT_MS),
    };
  });
}

function defineMachine(machine: MachineInput): MachineSpec {
  if (machine.packer !== undefined) return { kind: 'template', packer: machine.packer };
  const diskBytes = machine.disk === undefined ? undefined : parseSizeBytes(machine.disk);
  return {
    kind: 'described',
    builder: machine.builder ?? '',
    source: machine.source ?? '',
    regions: machine.regions ?? [],
    architectures: machine.architectures ?? ['amd64'],
    provisioners: (machine.provisioners ?? []).map(defineProvisioner),
    ...(diskBytes !== undefined && { diskBytes }),
    ...(machine.user !== undefined && { user: machine.user }),
    formats: machine.formats ?? [],
    options: machine.options ?? {},
  };
}

function defineProvisioner(step: ProvisionerInput): Provisioner {
  const timeoutMs = durationMs(step.timeout, STEP_TIMEOUT_MS);
  if ('run' in step) return { kind: 'run', command: step.run, timeoutMs };
  if ('shell' in step) return { kind: 'shell', script: step.shell, timeoutMs };
  if ('file' in step) return { kind: 'file', ...step.file, timeoutMs };
  if ('ansible' in step) return { kind: 'ansible', playbook: step.ansible, timeoutMs };
  if ('puppet' in step) return { kind: 'puppet', manifest: step.puppet, timeoutMs };
  return { kind: 'chef', ...step.chef, timeoutMs };
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

function durationMs(text: string | undefined, defaultMs: number): number {
  return text === undefined ? defaultMs : (parseDurationMs(text) ?? defaultMs);
}
