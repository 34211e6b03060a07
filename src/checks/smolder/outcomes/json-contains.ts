import { isDeepStrictEqual } from 'node:util';
import { isSensitiveName, MASK } from '../secrets.ts';
import type { Field } from '../source.ts';
import {
  failed,
  type HttpAnswer,
  type Mask,
  type Outcome,
  type OutcomeResult,
  passed,
} from '../test-file.ts';
import { pythonText } from './python-text.ts';

/** Path → the value that must stand there. Paths: `status`, `nested/state`, `items/0/id`, `nested.state`. */
export function readJsonContains(field: Field): Outcome {
  const name = field.key;
  const wanted = (field.entries() ?? []).map((entry) => ({ path: entry.key, expected: entry.value }));
  if (field.isMapping && wanted.length === 0) field.fault(`"${name}" names no path.`);
  return {
    name,
    check(answer) {
      if (answer.kind !== 'http') return [];
      const body = parseJson(answer);
      if (body === undefined) return [failed(name, 'The body is not JSON')];
      return wanted.map(({ path, expected }) => compare(name, body.value, path, expected, answer.mask));
    },
  };
}

export function parseJson(answer: HttpAnswer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(answer.body) };
  } catch {
    // Not JSON is an answer of the service, told as a failed outcome by the caller.
    return undefined;
  }
}

function compare(name: string, body: unknown, path: string, expected: unknown, mask: Mask): OutcomeResult {
  const found = valueAt(body, path);
  if (found === undefined) {
    return failed(name, `No json value at path "${path}", expecting ${shown(path, expected, mask)}`);
  }
  return isDeepStrictEqual(found.value, expected)
    ? passed(name, `Body contains expected json value at path "${path}"`)
    : failed(
        name,
        `Invalid json value ${shown(path, found.value, mask)} at path "${path}", expecting ${shown(path, expected, mask)}`,
      );
}

function shown(path: string, value: unknown, mask: Mask): string {
  return path.split(/[/.]/).some(isSensitiveName) ? MASK : pythonText(value, mask);
}

/** A key that has the whole path as its name goes first; then steps divided by slashes; then by dots. */
function valueAt(body: unknown, path: string): { readonly value: unknown } | undefined {
  return (
    step(body, path) ??
    walk(body, path.replace(/^\//, '').split('/')) ??
    (path.includes('/') ? undefined : walk(body, path.split('.')))
  );
}

function walk(body: unknown, steps: readonly string[]): { readonly value: unknown } | undefined {
  let here: { readonly value: unknown } | undefined = { value: body };
  for (const name of steps) {
    if (here === undefined) return undefined;
    here = step(here.value, name);
  }
  return here;
}

function step(value: unknown, name: string): { readonly value: unknown } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value) && !/^\d+$/.test(name)) return undefined;
  return Object.hasOwn(value, name) ? { value: Reflect.get(value, name) } : undefined;
}
