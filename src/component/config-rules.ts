import { environmentVariable, isReservedVariable } from '../domain/config-keys.ts';
import type { Finding } from './faults.ts';
import { overlap } from './process-rules.ts';
import { finding, isWritten, type Scope, sectionPath } from './scope.ts';
import { suggest } from './suggest.ts';
import type { Path } from './yaml-source.ts';

export function configFindings(scope: Scope): readonly Finding[] {
  return [...envListFindings(scope), ...variableFindings(scope), ...fileFindings(scope)];
}

function envListFindings(scope: Scope): readonly Finding[] {
  const { env, required, values } = scope.spec.config;
  if (env === 'all') return [];
  const known = new Set([...required, ...Object.keys(values)]);
  return env.flatMap((key, index) => {
    if (known.has(key)) return [];
    const didYouMean = suggest(key, known);
    return [
      finding([...sectionPath(scope, 'config', 'env'), index], `no config key "${key}" is declared`, {
        expected: 'a key of config.required or config.values',
        ...(didYouMean !== undefined && { didYouMean }),
      }),
    ];
  });
}

/** `db_url` and `db-url` would be the same variable; some variables are Kiln's or the system's own. */
function variableFindings(scope: Scope): readonly Finding[] {
  const { env, required, values } = scope.spec.config;
  const keys = new Set(env === 'all' ? [...required, ...Object.keys(values)] : env);
  const holder = new Map<string, string>();
  return [...keys].flatMap((key) => {
    const variable = environmentVariable(key);
    const path = keyPath(scope, key);
    if (isReservedVariable(variable)) {
      const expected = 'another key, or a config.env list without it';
      return [
        finding(path, `the environment variable ${variable} is not the config's to set`, {
          at: 'key',
          expected,
        }),
      ];
    }
    const first = holder.get(variable);
    holder.set(variable, first ?? key);
    if (first === undefined) return [];
    const message = `"${key}" and "${first}" would both be the environment variable ${variable}`;
    return [
      finding(path, message, { at: 'key', expected: 'keys that differ in more than case, "-" and "_"' }),
    ];
  });
}

function keyPath(scope: Scope, key: string): Path {
  const value = sectionPath(scope, 'config', 'values', key);
  if (isWritten(scope.file, value)) return value;
  for (const head of [scope.over ?? [], []]) {
    const list = [...head, 'config', 'required'];
    const required =
      head.length > 0 && scope.environment !== undefined
        ? scope.file.environments?.[scope.environment]?.config?.required
        : scope.file.config?.required;
    const index = required?.indexOf(key) ?? -1;
    if (index >= 0) return [...list, index];
  }
  return ['config'];
}

function fileFindings(scope: Scope): readonly Finding[] {
  const { files } = scope.spec.config;
  return files.flatMap((file, index) => {
    const path = [...sectionPath(scope, 'config', 'files'), index, 'path'];
    const twin = files.slice(0, index).find((other) => overlap(other.path, file.path));
    if (twin !== undefined) {
      return [finding(path, `overlaps the rendered file ${twin.path}`, { expected: 'another path' })];
    }
    const volume = scope.spec.processes
      .flatMap(({ volumes }) => volumes)
      .find((candidate) => overlap(candidate.path, file.path));
    if (volume === undefined) return [];
    return [
      finding(path, `overlaps the volume "${volume.name}" at ${volume.path}`, { expected: 'another path' }),
    ];
  });
}
