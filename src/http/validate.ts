/** Bodies, paths and queries against the contract: every fault at once, with the path to the value. */
import type { z } from '@hono/zod-openapi';
import { type Fault, KilnError } from '../domain/errors.ts';

export function validated<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  part: 'path' | 'query' | 'body',
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => faultsOf(issue, value));
  const first = faults[0];
  const where = first?.path ? `"${first.path}"` : `the ${part}`;
  throw new KilnError(
    'input.invalid',
    `The ${part} of this call is not valid: ${where}: ${first?.message ?? 'not as the contract says'}${
      faults.length > 1 ? ` (and ${faults.length - 1} more)` : ''
    }.`,
    { next: 'Correct what `faults` names; /api/v1/openapi.json has the contract.', faults },
  );
}

type Issue = z.core.$ZodIssue;

function faultsOf(issue: Issue, value: unknown, base: readonly PropertyKey[] = []): readonly Fault[] {
  const at = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: pathText([...at, key]), message: 'is not known here' }));
  }
  if (issue.code === 'invalid_union') {
    // Of the alternatives, the one that the value comes nearest to says best what is wrong.
    const nearest = issue.errors.toSorted((a, b) => a.length - b.length)[0] ?? [];
    if (nearest.length > 0) return nearest.flatMap((inner) => faultsOf(inner, value, at));
  }
  const found = foundText(value, at);
  return [{ path: pathText(at), message: issue.message, ...(found === undefined ? {} : { found }) }];
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map(String).join('.').slice(0, 200);
}

/** The value found, cut short; no request of the contract carries a secret in its path, query or body. */
function foundText(value: unknown, path: readonly PropertyKey[]): string | undefined {
  let current: unknown = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined;
    current = Reflect.get(current, key);
  }
  if (typeof current === 'string') return current.slice(0, 80);
  return typeof current === 'number' || typeof current === 'boolean' || current === null
    ? String(current)
    : undefined;
}
