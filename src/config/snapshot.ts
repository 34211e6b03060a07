/** A config tree resolved and frozen. Pure: the same input gives the same snapshot, with the same digest. */
import { createHash } from 'node:crypto';
import type { ConfigSpec } from '../domain/component.ts';
import { environmentVariable, isReservedVariable } from '../domain/config-keys.ts';
import { type Fault, KilnError } from '../domain/errors.ts';
import {
  type ComponentName,
  type Digest,
  digest,
  type EnvironmentName,
  environmentParts,
} from '../domain/ids.ts';
import type { ConfigSnapshot } from '../domain/release.ts';
import { findKey, renderTemplate } from './templates.ts';

export interface SnapshotRequest {
  readonly component: ComponentName;
  readonly version: string;
  readonly environment: EnvironmentName;
  /** As it applies in the environment. */
  readonly config: ConfigSpec;
  /** Texts by relative path: the definition's attachments. */
  readonly templates: Readonly<Record<string, string>>;
}

/**
 * Fails with `config.missing-key` naming every missing key, the tree and the template line that wants it, or with
 * `config.template` when a template cannot be rendered. No error repeats a value.
 */
export function resolveSnapshot(request: SnapshotRequest): ConfigSnapshot {
  const { config, templates } = request;
  const values = sorted(config.values);
  refuseMissing(request, values);
  environmentVariables(config, values);
  const names = treeNames(request);
  const files = config.files.map(({ template, path }) => {
    const text = Object.hasOwn(templates, template) ? templates[template] : undefined;
    if (text === undefined) {
      throw new KilnError('config.template', `The template ${template} was not kept with the image.`, {
        next: `Add ${template} to the component, or take it out of "config.files", and bake again.`,
      });
    }
    return { path, content: renderTemplate({ template, text, values, names, tree: treeText(request) }) };
  });
  return { digest: snapshotDigest({ values, files }), values, files };
}

/** What instances find in their environment: `db_url` as `DB_URL`. Two keys for one variable are `input.conflict`. */
export function environmentVariables(
  config: Pick<ConfigSpec, 'env'>,
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const keys = config.env === 'all' ? Object.keys(values) : config.env;
  const holder = new Map<string, string>();
  const variables: Record<string, string> = {};
  for (const key of keys) {
    const variable = environmentVariable(key);
    const first = holder.get(variable);
    if (first !== undefined && first !== key) {
      throw new KilnError('input.conflict', `"${key}" and "${first}" would both be ${variable}.`, {
        next: 'Rename one of the two config keys.',
      });
    }
    if (isReservedVariable(variable)) {
      throw new KilnError(
        'input.conflict',
        `The config key "${key}" would set ${variable}, which is not its to set.`,
        {
          next: 'Rename the key, or name the others under config.env.',
        },
      );
    }
    holder.set(variable, key);
    const value = Object.hasOwn(values, key) ? values[key] : undefined;
    if (value !== undefined) variables[variable] = value;
  }
  return variables;
}

/** Digest of the snapshot's canonical JSON: keys sorted, no white space. */
export function snapshotDigest(content: Pick<ConfigSnapshot, 'values' | 'files'>): Digest {
  const files = content.files
    .map(({ path, content: text }) => [path, text] as const)
    .toSorted(([a], [b]) => compare(a, b));
  const canonical = JSON.stringify({ files, values: sorted(content.values) });
  return digest(`sha256:${createHash('sha256').update(canonical).digest('hex')}`);
}

function refuseMissing(request: SnapshotRequest, values: Readonly<Record<string, string>>): void {
  const missing = request.config.required.filter((key) => !Object.hasOwn(values, key));
  const [first] = missing;
  if (first === undefined) return;
  const faults = missing.map((key) => missingKey(key, request));
  const names = missing.map((key) => `"${key}"`).join(', ');
  const [use] = faults.flatMap(({ location }) => (location === undefined ? [] : [location]));
  const where = use === undefined ? '' : ` ${use.file}:${use.line}:${use.column} uses it.`;
  throw new KilnError('config.missing-key', `The config of ${treeText(request)} has no ${names}.${where}`, {
    next: `Give it a value under config.values, or under environments["${request.environment}"].config.values.`,
    faults,
    details: { key: first, environment: request.environment },
  });
}

function missingKey(key: string, { config, templates }: SnapshotRequest): Fault {
  const fault = { path: key, message: `the required key "${key}" has no value`, expected: 'a value' };
  for (const { template } of config.files) {
    const text = Object.hasOwn(templates, template) ? templates[template] : undefined;
    const location = text === undefined ? undefined : findKey(template, text, key);
    if (location !== undefined) return { ...fault, location };
  }
  return fault;
}

/** The tree that was asked, in the order of its parts. */
function treeText({ component, version, environment }: SnapshotRequest): string {
  const { level, region } = environmentParts(environment);
  return `component ${component}, version ${version}, region ${region}, level ${level}`;
}

function treeNames({ component, version, environment }: SnapshotRequest): Readonly<Record<string, string>> {
  return { component, version, environment, ...environmentParts(environment) };
}

function sorted(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).toSorted(([a], [b]) => compare(a, b)));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
