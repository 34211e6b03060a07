/** How an environment's part stands over the component's own: maps merge by key, everything else is replaced. */
import type { ConfigInput } from './config-shape.ts';
import type { HealthInput, InstancesInput, ProcessInput } from './process-shape.ts';
import type { ComponentFile, EnvironmentInput } from './schema.ts';
import type { DeployInput, RoutesInput } from './traffic-shape.ts';

export const WEB = 'web';

/** One environment as if the file spoke of it alone. */
export interface MergedInput {
  readonly processes: Readonly<Record<string, ProcessInput>>;
  readonly config: ConfigInput;
  readonly deploy: DeployInput;
  readonly routes: RoutesInput | undefined;
  readonly migrate: string | undefined;
  readonly checks: readonly string[];
  readonly target: string | undefined;
  readonly channel: string | undefined;
}

export function mergeEnvironment(file: ComponentFile, over: EnvironmentInput = {}): MergedInput {
  const migrate = over.migrate ?? file.migrate;
  return {
    processes: mergeProcesses(ownProcesses(file), overProcesses(over)),
    config: mergeConfig(file.config ?? {}, over.config ?? {}),
    deploy: { ...file.deploy, ...over.deploy },
    routes: over.routes ?? file.routes,
    migrate: migrate === false ? undefined : migrate,
    checks: over.checks ?? file.checks ?? [],
    target: over.target,
    channel: over.channel,
  };
}

/** The component's processes with `service` as `web`. */
export function ownProcesses(file: ComponentFile): Readonly<Record<string, ProcessInput>> {
  return { ...(file.service && { [WEB]: file.service }), ...file.processes };
}

function overProcesses(over: EnvironmentInput): Readonly<Record<string, ProcessInput>> {
  const web = mergeProcess(
    over.service ?? {},
    over.instances === undefined ? {} : { instances: over.instances },
  );
  const spoken = over.service !== undefined || over.instances !== undefined;
  return mergeProcesses(spoken ? { [WEB]: web } : {}, over.processes ?? {});
}

function mergeProcesses(
  base: Readonly<Record<string, ProcessInput>>,
  over: Readonly<Record<string, ProcessInput>>,
): Readonly<Record<string, ProcessInput>> {
  const merged = new Map(Object.entries(base));
  for (const [name, process] of Object.entries(over)) {
    merged.set(name, mergeProcess(merged.get(name) ?? {}, process));
  }
  return Object.fromEntries(merged);
}

function mergeProcess(base: ProcessInput, over: ProcessInput): ProcessInput {
  const merged: ProcessInput = { ...base, ...over };
  if (base.health !== undefined && over.health !== undefined) {
    merged.health = { ...healthMap(base.health), ...healthMap(over.health) };
  }
  if (base.instances !== undefined && over.instances !== undefined) {
    merged.instances = mergeInstances(base.instances, over.instances);
  }
  if (base.stop !== undefined && over.stop !== undefined) merged.stop = { ...base.stop, ...over.stop };
  return merged;
}

export function healthMap(health: HealthInput): Exclude<HealthInput, string> {
  return typeof health === 'string' ? { path: health } : health;
}

/** A number stands for all three bounds, so it replaces them; a map changes those that it names. */
function mergeInstances(base: InstancesInput, over: InstancesInput): InstancesInput {
  if (typeof over === 'number') return over;
  return { ...(typeof base === 'number' ? { desired: base } : base), ...over };
}

function mergeConfig(base: ConfigInput, over: ConfigInput): ConfigInput {
  return {
    ...base,
    ...over,
    required: [...new Set([...(base.required ?? []), ...(over.required ?? [])])],
    values: { ...base.values, ...over.values },
  };
}
