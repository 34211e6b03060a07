/** Branded ids and the rules for names. A value of these types has passed its rule. */
import { KilnError } from './errors.ts';

declare const brand: unique symbol;
type Brand<Name extends string> = string & { readonly [brand]: Name };

/** Lower-case words joined by single dashes, at most 40 characters, so that server group names stay DNS labels. */
export type ComponentName = Brand<'ComponentName'>;
export type ProcessName = Brand<'ProcessName'>;
/** Always `level/region`, such as `stage/uk` or `pr-123/local`. */
export type EnvironmentName = Brand<'EnvironmentName'>;
export type ChannelName = Brand<'ChannelName'>;
/** `sha256:` and 64 lower-case hex digits. */
export type Digest = Brand<'Digest'>;
export type ImageId = Brand<'ImageId'>;
export type DeploymentId = Brand<'DeploymentId'>;
export type BakeId = Brand<'BakeId'>;
/** `storefront-web-live-uk-v012`: component, process, level, region, release; canary and baseline add their role. */
export type ServerGroupName = Brand<'ServerGroupName'>;
export type InstanceId = Brand<'InstanceId'>;
/** `component@level/region`: what one lease, one routing table and one deployment are about. */
export type ServiceKey = Brand<'ServiceKey'>;

/** Counts committed changes; the next change gets the next number, in commit order. */
export type Revision = number;
/** Grows each time a lease changes hands; an act that carries an older one is refused. */
export type Fence = number;
/** Counts releases of one component in one environment, from 1. */
export type ReleaseNumber = number;

const WORD = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const ENVIRONMENT = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\/[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const NAME_LIMIT = 40;

export function isName(text: string): boolean {
  return text.length <= NAME_LIMIT && WORD.test(text);
}

export function isEnvironmentName(text: string): boolean {
  return text.length <= NAME_LIMIT && ENVIRONMENT.test(text);
}

function refuse(what: string, text: string, expected: string): never {
  throw new KilnError('input.invalid', `"${text}" is not ${what}: ${expected}.`, {
    next: 'Correct the name and try again.',
  });
}

const NAME_RULE = `lower-case letters, digits and single dashes, beginning with a letter, at most ${NAME_LIMIT} characters`;

export function isComponentName(text: string): text is ComponentName {
  return isName(text);
}

export function componentName(text: string): ComponentName {
  return isName(text) ? (text as ComponentName) : refuse('a component name', text, NAME_RULE);
}

export function processName(text: string): ProcessName {
  return isName(text) ? (text as ProcessName) : refuse('a process name', text, NAME_RULE);
}

export function channelName(text: string): ChannelName {
  return isName(text) ? (text as ChannelName) : refuse('a channel name', text, NAME_RULE);
}

export function environmentName(text: string): EnvironmentName {
  return isEnvironmentName(text)
    ? (text as EnvironmentName)
    : refuse('an environment', text, 'level/region, such as stage/uk');
}

export function digest(text: string): Digest {
  return DIGEST.test(text) ? (text as Digest) : refuse('a digest', text, 'sha256: and 64 hex digits');
}

export interface EnvironmentParts {
  readonly level: string;
  readonly region: string;
}

export function environmentParts(environment: EnvironmentName): EnvironmentParts {
  const slash = environment.indexOf('/');
  return { level: environment.slice(0, slash), region: environment.slice(slash + 1) };
}

export function serviceKey(component: ComponentName, environment: EnvironmentName): ServiceKey {
  return `${component}@${environment}` as ServiceKey;
}

export function serviceParts(service: ServiceKey): {
  component: ComponentName;
  environment: EnvironmentName;
} {
  const at = service.indexOf('@');
  return {
    component: service.slice(0, at) as ComponentName,
    environment: service.slice(at + 1) as EnvironmentName,
  };
}

/** Without the name of the algorithm, as files and tags are named. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
