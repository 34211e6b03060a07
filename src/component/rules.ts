/** What no single field can tell: each rule sees the whole, in the component alone and in every environment. */
import { IMAGE_REFERENCE } from '../domain/component.ts';
import { isOwnTag, isTagValue, TAG_VALUE_RULE } from '../domain/image-tags.ts';
import { configFindings } from './config-rules.ts';
import { defineEnvironment } from './definition.ts';
import type { Finding } from './faults.ts';
import type { ImageInput } from './image-shape.ts';
import { machineFindings } from './machine-rules.ts';
import { mergeEnvironment, ownProcesses, WEB } from './merge.ts';
import { processFindings } from './process-rules.ts';
import type { ComponentFile, EnvironmentInput } from './schema.ts';
import { finding, isWritten, type Scope } from './scope.ts';
import { suggest } from './suggest.ts';
import { trafficFindings } from './traffic-rules.ts';

/** `raw` is the file before what the schema refused was taken out: what is named there exists, readable or not. */
export function ruleFindings(file: ComponentFile, raw: unknown): readonly Finding[] {
  const declared = declaredProcesses(raw);
  const scopes = [
    scopeOf(file, raw, undefined),
    ...Object.keys(file.environments ?? {}).map((name) => scopeOf(file, raw, name)),
  ];
  const found = [
    ...imageFindings(file),
    ...notYetFindings(file),
    ...processNameFindings(file, raw, declared),
    ...scopes.flatMap((scope) => [
      ...processFindings(scope),
      ...configFindings(scope),
      ...trafficFindings(scope, declared),
    ]),
  ];
  return withoutRepeats(found);
}

function scopeOf(file: ComponentFile, raw: unknown, environment: string | undefined): Scope {
  const over = environment === undefined ? undefined : file.environments?.[environment];
  const merged = mergeEnvironment(file, onlyKnown(file, over));
  return {
    over: environment === undefined ? undefined : ['environments', environment],
    environment,
    file,
    raw,
    merged,
    spec: defineEnvironment(merged, file),
  };
}

/** Processes that only an environment knows are a fault of their own, and no reason for more. */
function onlyKnown(file: ComponentFile, over: EnvironmentInput | undefined): EnvironmentInput {
  const known = ownProcesses(file);
  const { service, instances, processes, ...rest } = over ?? {};
  return {
    ...rest,
    ...(WEB in known && service !== undefined && { service }),
    ...(WEB in known && instances !== undefined && { instances }),
    processes: Object.fromEntries(
      Object.entries(processes ?? {}).filter(([name]) => Object.hasOwn(known, name)),
    ),
  };
}

function declaredProcesses(raw: unknown): ReadonlySet<string> {
  const service = isWritten(raw, ['service']) ? [WEB] : [];
  const processes = typeof raw === 'object' && raw !== null ? Reflect.get(raw, 'processes') : undefined;
  return new Set([
    ...service,
    ...(typeof processes === 'object' && processes !== null ? Object.keys(processes) : []),
  ]);
}

function processNameFindings(
  file: ComponentFile,
  raw: unknown,
  declared: ReadonlySet<string>,
): readonly Finding[] {
  const findings: Finding[] = [];
  if (declared.size === 0) {
    findings.push(
      finding([], 'there is no process', {
        expected: '"service" for what takes requests, or "processes" for anything else',
      }),
    );
  }
  const heads = [[], ...Object.keys(file.environments ?? {}).map((name) => ['environments', name])];
  for (const head of heads) {
    if (isWritten(raw, [...head, 'service']) && isWritten(raw, [...head, 'processes', WEB])) {
      const path = [...head, 'processes', WEB];
      findings.push(
        finding(path, `"service" is the process "${WEB}" already`, { at: 'key', expected: 'one of both' }),
      );
    }
  }
  for (const [name, over] of Object.entries(file.environments ?? {})) {
    findings.push(...unknownProcesses(['environments', name], over, declared));
  }
  return findings;
}

function unknownProcesses(
  head: readonly string[],
  over: EnvironmentInput,
  declared: ReadonlySet<string>,
): readonly Finding[] {
  const expected = declared.size > 0 ? `one of ${[...declared].join(', ')}` : 'a process of this component';
  const named = Object.keys(over.processes ?? {}).map((name) => ({
    name,
    path: [...head, 'processes', name],
  }));
  const web = (['service', 'instances'] as const)
    .filter((key) => over[key] !== undefined)
    .map((key) => ({ name: WEB, path: [...head, key] }));
  return [...named, ...web]
    .filter(({ name }) => !declared.has(name))
    .map(({ name, path }) => {
      const didYouMean = suggest(name, declared);
      const rest = { at: 'key', expected, ...(didYouMean !== undefined && { didYouMean }) } as const;
      return finding(path, `there is no process "${name}"`, rest);
    });
}

/**
 * Parts of the shape whose engine is still to come: refused, never ignored. Kinds of image and strategies that are
 * not there are refused where they are used.
 */
function notYetFindings({ pipeline }: ComponentFile): readonly Finding[] {
  const findings: Finding[] = [];
  if (pipeline !== undefined) {
    findings.push(
      finding(['pipeline'], '"pipeline" is not available yet', { at: 'key', expected: 'nothing here' }),
    );
  }
  return findings;
}

function imageFindings({ image = {} }: ComponentFile): readonly Finding[] {
  const kind = image.kind ?? 'bundle';
  const findings: Finding[] = [...tagFindings(image)];
  if (image.rebake !== undefined && image.rebake !== 'never' && !standsOnAnImage(image)) {
    findings.push(
      finding(['image', 'rebake'], 'there is no base that could change', {
        at: 'key',
        expected: '"base: component@channel" beside it',
      }),
    );
  }
  for (const section of ['container', 'machine'] as const) {
    if (image[section] !== undefined && kind !== section) {
      const expected = `"kind: ${section}" beside it`;
      findings.push(
        finding(['image', section], `"${section}" means nothing for a ${kind}`, { at: 'key', expected }),
      );
    }
  }
  if (kind !== 'bundle') {
    for (const key of ['build', 'include', 'exclude', 'environment', 'runtime'] as const) {
      if (image[key] === undefined) continue;
      const expected = kind === 'container' ? 'this in the Dockerfile' : 'provisioners under image.machine';
      findings.push(finding(['image', key], `"${key}" means nothing for a ${kind}`, { at: 'key', expected }));
    }
  }
  if (kind !== 'machine') return findings;
  if (image.base !== undefined && image.machine?.builder !== undefined) {
    findings.push(
      finding(['image', 'base'], '"base" means nothing beside "builder"', {
        at: 'key',
        expected: 'this as image.machine.source',
      }),
    );
  }
  return [...findings, ...machineFindings(image.machine)];
}

function tagFindings({ tags = {} }: ImageInput): readonly Finding[] {
  return Object.entries(tags).flatMap(([key, value]) => {
    const path = ['image', 'tags', key];
    if (isOwnTag(key)) {
      const expected = 'another key';
      return [finding(path, `the tag "${key}" is set by Kiln itself`, { at: 'key', expected })];
    }
    if (isTagValue(String(value))) return [];
    return [finding(path, 'this cannot be the value of a tag', { expected: TAG_VALUE_RULE })];
  });
}

function standsOnAnImage({ base, machine }: ImageInput): boolean {
  return base !== undefined || IMAGE_REFERENCE.test(machine?.source ?? '');
}

/** What an environment inherits is wrong once, where it was written. */
function withoutRepeats(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Map(findings.map((found) => [JSON.stringify([found.path, found.message]), found]));
  return [...seen.values()];
}
