/** The component alone, or in one environment, as the rules see it: what applies, and where the author wrote it. */
import type { EnvironmentSpec } from '../domain/component.ts';
import type { Finding } from './faults.ts';
import { type MergedInput, WEB } from './merge.ts';
import type { ComponentFile } from './schema.ts';
import type { Path } from './yaml-source.ts';

export interface Scope {
  /** Path of the environment's part; undefined: the component's own. */
  readonly over: Path | undefined;
  readonly environment: string | undefined;
  readonly file: ComponentFile;
  /** The file before what the schema refused was taken out. */
  readonly raw: unknown;
  readonly merged: MergedInput;
  readonly spec: EnvironmentSpec;
}

/** Where a part of a process was written last: the environment's word stands over the component's. */
export function processPath(scope: Scope, name: string, ...rest: Path): Path {
  const heads = [scope.over, []].filter((head) => head !== undefined);
  for (const head of heads) {
    for (const path of spellings(head, name, rest)) if (isWritten(scope.file, path)) return path;
  }
  return spellings([], name, []).find((path) => isWritten(scope.file, path)) ?? ['processes', name];
}

function spellings(head: Path, name: string, rest: Path): readonly Path[] {
  const long = [...head, 'processes', name, ...rest];
  if (name !== WEB) return [long];
  const service = [...head, 'service', ...rest];
  const short = head.length > 0 && rest[0] === 'instances' ? [[...head, ...rest]] : [];
  return [long, service, ...short];
}

/** Where a part of a section (`config`, `deploy`, `routes`) was written last. */
export function sectionPath(scope: Scope, ...rest: Path): Path {
  const over = scope.over && [...scope.over, ...rest];
  return over !== undefined && isWritten(scope.file, over) ? over : rest;
}

export function isWritten(root: unknown, path: Path): boolean {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return false;
    value = Reflect.get(value, step);
  }
  return value !== undefined;
}

export function finding(
  path: Path,
  message: string,
  rest: Partial<Omit<Finding, 'path' | 'message'>> = {},
): Finding {
  return { path, at: 'value', message, ...rest };
}
