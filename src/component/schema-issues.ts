/** What a schema, and its issues with a value, say of what was meant. Of any schema. */
import { z } from 'zod';
import type { Path } from './yaml-source.ts';

export type Issue = z.core.$ZodIssue;

/** The alternative that the author most likely meant: the one of the value's own kind. */
export function branchMeant(
  branches: readonly (readonly Issue[])[],
  value: unknown,
): readonly Issue[] | undefined {
  if (typeof value !== 'object' || value === null) {
    // A scalar of the right kind whose text does not fit is told by its own rule, unless all say the same.
    return undefined;
  }
  const sameKind = branches.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && isKindIssue(issue)),
  );
  if (sameKind.length === 0) return undefined;
  return sameKind.reduce((best, issues) => (distance(issues) < distance(best) ? issues : best));
}

function isKindIssue(issue: Issue): boolean {
  return issue.code === 'invalid_type' || (issue.code === 'invalid_value' && issue.path.length === 0);
}

/** A key of another alternative weighs more than a value that is wrong. */
function distance(issues: readonly Issue[]): number {
  return issues.reduce(
    (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? 2 * issue.keys.length : 1),
    0,
  );
}

export function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

/** Keys that a schema knows at a path; of all alternatives where there are several. */
export function keysAt(root: z.core.$ZodType, path: Path): ReadonlySet<string> {
  let schemas: readonly z.core.$ZodType[] = [root];
  for (const step of path) schemas = schemas.flatMap(alternatives).flatMap((schema) => inner(schema, step));
  return new Set(schemas.flatMap(alternatives).flatMap((schema) => shapeKeys(schema)));
}

function alternatives(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return alternatives(schema.unwrap());
  if (schema instanceof z.ZodPipe) return alternatives(schema.in);
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => alternatives(option));
  return [schema];
}

function inner(schema: z.core.$ZodType, step: string | number): readonly z.core.$ZodType[] {
  if (schema instanceof z.ZodObject) {
    const field = Object.hasOwn(schema.shape, step) ? schema.shape[step] : undefined;
    return field === undefined ? [] : [field];
  }
  if (schema instanceof z.ZodRecord) return [schema.valueType];
  if (schema instanceof z.ZodArray) return [schema.element];
  return [];
}

function shapeKeys(schema: z.core.$ZodType): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}
