import type { ComponentDefinition, EnvironmentSpec, RouteSpec } from '../domain/component.ts';
import {
  type ChannelName,
  type ComponentName,
  channelName,
  type EnvironmentName,
  environmentParts,
} from '../domain/ids.ts';

/** In place of a channel's name: the environment is not protected. */
const NO_CHANNEL = 'none';
const PROTECTED_LEVEL = 'live';
const PROTECTING_CHANNEL = channelName('proven');
const LOCAL_REGION = 'local';

/**
 * What applies in an environment, named in the file or not. Use this rather than the definition's fields:
 * hosts still hold placeholders there, and the level's protection is decided here.
 */
export function resolveEnvironment(
  definition: ComponentDefinition,
  environment: EnvironmentName,
): EnvironmentSpec {
  const named = Object.hasOwn(definition.environments, environment)
    ? definition.environments[environment]
    : undefined;
  if (named !== undefined) return named;
  const channel = channelOf(environment, undefined);
  return {
    ...definition.defaults,
    routes: expandRoutes(definition.defaults.routes, definition.component, environment),
    ...(channel !== undefined && { channel }),
  };
}

/** The channel that protects an environment: what its part of the file says, else `proven` for level `live`. */
export function channelOf(
  environment: EnvironmentName,
  written: string | undefined,
): ChannelName | undefined {
  if (written === NO_CHANNEL) return undefined;
  if (written !== undefined) return channelName(written);
  return environmentParts(environment).level === PROTECTED_LEVEL ? PROTECTING_CHANNEL : undefined;
}

/** Replaces the placeholders of hosts: `{environment}` is the level, and `-region` unless the region is `local`. */
export function expandRoutes(
  routes: readonly RouteSpec[],
  component: ComponentName,
  environment: EnvironmentName,
): readonly RouteSpec[] {
  const { level, region } = environmentParts(environment);
  const words: Readonly<Record<string, string>> = {
    component,
    level,
    region,
    environment: region === LOCAL_REGION ? level : `${level}-${region}`,
  };
  return routes.map((route) => ({
    ...route,
    host: route.host.replaceAll(/\{(\w+)\}/g, (whole, word: string) => words[word] ?? whole),
  }));
}
