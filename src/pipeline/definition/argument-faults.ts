/**
 * Tells at load what a task would refuse when it is asked: arguments that it does not know, that are missing, or are of
 * another kind. Only what is written is judged; what is filled in when the task is asked for may become anything.
 */
import type { z } from 'zod';
import { branchMeant, type Issue, keysAt, valueAt } from '../../component/schema-issues.ts';
import { suggest } from '../../component/suggest.ts';
import type { QueryLanguage } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import type { Json, JsonObject } from '../asl/json.ts';
import { FILLED_IN, literalArguments, writtenPath } from './literal-arguments.ts';

interface Asked {
  readonly task: string;
  readonly takes: z.ZodType;
  readonly literal: unknown;
}

/** Of a Task state at this path. Where it says nothing of arguments, its input is what the task is given. */
export function argumentFaults(
  state: JsonObject,
  { task, takes }: Omit<Asked, 'literal'>,
  path: DefinitionPath,
  language: QueryLanguage,
): readonly DefinitionFault[] {
  const field = language === 'JSONata' ? 'Arguments' : 'Parameters';
  const written: Json | undefined = state[field];
  if (written === undefined) return [];
  const asked = { task, takes, literal: literalArguments(written, language) };
  const read = takes.safeParse(asked.literal);
  if (read.success) return [];
  return read.error.issues
    .flatMap((issue) => certain(issue, [], asked.literal))
    .flatMap((issue) => faultsOf(issue, asked))
    .map((fault) => ({ ...fault, path: [...path, field, ...writtenPath(written, fault.path)] }));
}

/** What holds of the issue whatever is filled in, with its path from `base`. */
function certain(issue: Issue, base: DefinitionPath, literal: unknown): readonly Issue[] {
  const here = [...base, ...stepsOf(issue)];
  const value = valueAt(literal, here);
  if (leadsThroughFilledIn(literal, here)) return [];
  if (issue.code === 'custom' && holdsFilledIn(value)) return [];
  if (issue.code !== 'invalid_union') return [issue];
  const branches = issue.errors.map((inner) => inner.flatMap((one) => certain(one, here, literal)));
  if (branches.some((found) => found.length === 0)) return [];
  const meant = branchMeant(branches, value);
  return meant?.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })) ?? [issue];
}

function leadsThroughFilledIn(literal: unknown, path: DefinitionPath): boolean {
  return (
    path.some((_, at) => valueAt(literal, path.slice(0, at)) === FILLED_IN) ||
    valueAt(literal, path) === FILLED_IN
  );
}

function holdsFilledIn(value: unknown): boolean {
  if (value === FILLED_IN) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsFilledIn);
}

function stepsOf({ path }: Issue): DefinitionPath {
  return path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

function faultsOf(issue: Issue, { task, takes, literal }: Asked): readonly DefinitionFault[] {
  const path = stepsOf(issue);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownArgument(path, key, task, takes));
  const name = String(path.at(-1) ?? 'the arguments');
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message ?? issue.message;
    return [{ path, at: 'key', message: `"${name}" cannot be a name here`, expected }];
  }
  const value = valueAt(literal, path);
  const expected = expectedWords(issue);
  if (value === undefined)
    return [{ path, at: 'key', message: `"${name}" is missing: ${task} needs it`, expected }];
  const didYouMean = meantValue(issue, value);
  return [
    {
      path,
      at: 'value',
      message: `not what ${task} takes here`,
      found: shown(value),
      expected,
      ...(didYouMean !== undefined && { didYouMean }),
    },
  ];
}

function unknownArgument(path: DefinitionPath, key: string, task: string, takes: z.ZodType): DefinitionFault {
  const known = keysAt(takes, path);
  const didYouMean = suggest(key, known);
  return {
    path: [...path, key],
    at: 'key',
    message: `${task} takes no "${key}"${path.length === 0 ? '' : ' here'}`,
    expected: `one of ${[...known].join(', ')}`,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

/** A word that is near to one of those that may stand there; a number where a text should be. */
function meantValue(issue: Issue, value: unknown): string | undefined {
  if (issue.code === 'invalid_value' && typeof value === 'string')
    return suggest(value, issue.values.map(String));
  const isText = issue.code === 'invalid_type' && issue.expected === 'string';
  return isText && (typeof value === 'number' || typeof value === 'boolean') ? `"${value}"` : undefined;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

/** In an author's words, where the shape has none of its own. */
function expectedWords(issue: Issue): string {
  const { code, message } = issue;
  if (code === 'invalid_type' && message.startsWith('Invalid input'))
    return KINDS[issue.expected] ?? issue.expected;
  if (code === 'too_small' && message.startsWith('Too small'))
    return issue.origin === 'number' || issue.origin === 'int' ? `at least ${issue.minimum}` : 'something';
  if (code === 'too_big' && message.startsWith('Too big')) return `at most ${issue.maximum}`;
  return message;
}

const SHOWN_LENGTH = 60;

function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, inner) => (inner === FILLED_IN ? '…' : inner)) ?? String(value);
  return text.length > SHOWN_LENGTH ? `${text.slice(0, SHOWN_LENGTH - 1)}…` : text;
}
