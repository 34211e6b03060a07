/** Turns what the schema found wrong into faults in an author's words. */
import type { z } from 'zod';
import { suggest } from '../../component/suggest.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';

type Issue = z.core.$ZodIssue;

export function schemaFaults(issues: readonly Issue[], root: unknown): readonly DefinitionFault[] {
  return issues.flatMap((issue) => faultsOf(issue, [], root));
}

function faultsOf(issue: Issue, base: DefinitionPath, root: unknown): readonly DefinitionFault[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField([...path, key], root));
  const value = valueAt(root, path);
  if (issue.code === 'invalid_union') {
    if (issue.path.at(-1) === 'Type' || 'discriminator' in issue) return [wrongType(path, root)];
    const meant = issue.errors.find((inner) => inner.every(({ path: deeper }) => deeper.length > 0));
    if (meant !== undefined) return meant.flatMap((inner) => faultsOf(inner, path, root));
  }
  if (value === undefined) {
    return [
      {
        path,
        at: 'key',
        message: `"${String(path.at(-1) ?? 'the definition')}" is missing`,
        expected: issue.message,
      },
    ];
  }
  return [
    { path, at: 'value', message: 'not what belongs here', found: shown(value), expected: issue.message },
  ];
}

const TYPES = ['Task', 'Pass', 'Choice', 'Wait', 'Succeed', 'Fail', 'Parallel', 'Map'] as const;

function wrongType(path: DefinitionPath, root: unknown): DefinitionFault {
  const at = path.at(-1) === 'Type' ? path : [...path, 'Type'];
  const found = valueAt(root, at);
  const expected = `one of ${TYPES.join(', ')}`;
  if (found === undefined) return { path: at, at: 'key', message: '"Type" is missing', expected };
  const didYouMean = suggest(String(found), TYPES);
  return {
    path: at,
    at: 'value',
    message: 'not a type of state',
    found: shown(found),
    expected,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

function unknownField(path: DefinitionPath, root: unknown): DefinitionFault {
  const type = valueAt(root, [...path.slice(0, -1), 'Type']);
  const where = typeof type === 'string' && path.at(-3) === 'States' ? ` in a ${type} state` : '';
  return { path, at: 'key', message: `"${String(path.at(-1))}" is not a field${where}` };
}

function valueAt(root: unknown, path: DefinitionPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
