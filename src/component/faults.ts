/** Turns what the schema found wrong into faults that say where, what was found, what was expected, what was meant. */
import type { Fault } from '../domain/errors.ts';
import { componentFile } from './schema.ts';
import { branchMeant, type Issue, keysAt, valueAt } from './schema-issues.ts';
import { suggest } from './suggest.ts';
import type { Path, YamlSource } from './yaml-source.ts';

/** A fault before it has its place in the text. */
export interface Finding {
  readonly path: Path;
  /** Whether to point at the value or at its key. */
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly found?: string;
  readonly expected?: string;
  readonly didYouMean?: string;
  /** Nothing stands at the path. */
  readonly missing?: true;
}

export function place(finding: Finding, source: YamlSource): Fault {
  const { path, at, missing: _, ...said } = finding;
  return {
    path: pathText(path),
    ...said,
    location: at === 'key' ? source.locateKey(path) : source.locateValue(path),
  };
}

export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** What the schema found, each with the path that must go for the rest to be read. */
export function schemaFindings(
  issues: readonly Issue[],
  root: unknown,
  source: YamlSource,
): readonly Finding[] {
  return issues.flatMap((issue) => findingsOf(issue, [], root, source));
}

function findingsOf(issue: Issue, base: Path, root: unknown, source: YamlSource): readonly Finding[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  if (issue.code === 'invalid_key') return [oddKey(path, issue)];
  const value = valueAt(root, path);
  if (issue.code === 'invalid_union') {
    const meant = branchMeant(issue.errors, value);
    if (meant !== undefined) return meant.flatMap((inner) => findingsOf(inner, path, root, source));
  }
  if (value === undefined) return [missing(path, issue.message)];
  return [wrongValue(path, issue, value, source)];
}

function unknownKey(path: Path, key: string): Finding {
  const known = keysAt(componentFile, path);
  const didYouMean = suggest(key, known) ?? elsewhere(path, key);
  return {
    path: [...path, key],
    at: 'key',
    message: `unknown key "${shortened(key)}"`,
    expected: `one of ${[...known].join(', ')}`,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

function oddKey(path: Path, issue: Issue & { code: 'invalid_key' }): Finding {
  const key = String(path.at(-1) ?? '');
  return {
    path,
    at: 'key',
    message: `"${shortened(key)}" cannot be a name here`,
    expected: issue.issues[0]?.message ?? issue.message,
  };
}

function missing(path: Path, expected: string): Finding {
  return { path, at: 'key', message: `"${path.at(-1) ?? 'the file'}" is missing`, expected, missing: true };
}

function wrongValue(path: Path, issue: Issue, value: unknown, source: YamlSource): Finding {
  const hidden = path.includes('values');
  const didYouMean = meantValue(issue, value, source.written(path));
  return {
    path,
    at: 'value',
    message: 'not what belongs here',
    ...(!hidden && { found: foundText(value, source.written(path)) }),
    expected: issue.message,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

function meantValue(issue: Issue, value: unknown, written: string | undefined): string | undefined {
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    return suggest(value, issue.values.map(String));
  }
  if (typeof value !== 'number' || written === undefined) return undefined;
  if (issue.message.includes('duration')) return `${written}s`;
  if (issue.message.includes('share')) return `${written}%`;
  return issue.message.includes('text') ? `"${written}"` : undefined;
}

export function foundText(value: unknown, written?: string): string {
  if (written !== undefined && typeof value !== 'string') return shortened(written);
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  return shortened(JSON.stringify(value) ?? String(value));
}

const SHOWN_LENGTH = 60;

function shortened(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > SHOWN_LENGTH ? `${line.slice(0, SHOWN_LENGTH - 1)}…` : line;
}

const SECTIONS = ['image', 'service', 'config', 'deploy'] as const;

/** A key put at the top that belongs into a section, or into a section that belongs at the top. */
function elsewhere(path: Path, key: string): string | undefined {
  if (path.length === 0) {
    const section = SECTIONS.find((name) => keysAt(componentFile, [name]).has(key));
    return section && `${section}.${key}`;
  }
  return keysAt(componentFile, []).has(key) ? `${key}, at the top of the file` : undefined;
}
