/**
 * The query language of the catalogue: words that must all hold, such as
 *
 *   component=web version>=1.4 env=stage kind=machine region=us-east-1 arch=amd64 outdated=true order=-version limit=1
 *
 * - `key=value`, `key!=value`; several values with commas (any of them); `key=*` (has one); `"…"` around what holds
 *   spaces or commas. A key that is no field is a tag; `tag.KEY` is always a tag.
 * - `version` also with `>`, `>=`, `<`, `<=`. `order=newest` (default), `oldest`, `version`, `-version`.
 * - A lone word is a component, or `component:channel`.
 */
import { type Fault, KilnError } from '../domain/errors.ts';
import type { ComponentName } from '../domain/ids.ts';
import type { Artifact, Image } from '../domain/image.ts';
import {
  ANY_VALUE,
  ARTIFACT_FIELDS,
  type ArtifactField,
  type Condition,
  componentOf,
  IMAGE_FIELDS,
  type ImageField,
  type ImageOrder,
  type ImageQuery,
  type VersionBound,
} from '../domain/image-query.ts';

const ORDERS: readonly ImageOrder[] = ['newest', 'oldest', 'version', '-version'];
const FLAGS: ReadonlySet<string> = new Set(['tested', 'failed', 'revoked', 'outdated']);
const CONTROLS = ['order', 'limit'] as const;
const WORDS = [...IMAGE_FIELDS, ...ARTIFACT_FIELDS, ...CONTROLS];
const LARGEST_LIMIT = 200;
/** Longer values are kept with the image but not indexed. */
const LONGEST_VALUE = 200;
const KEY = /^[A-Za-z0-9][\w.:/-]*$/;
const OPERATOR = /!=|>=|<=|=|>|</;

interface Word {
  readonly text: string;
  /** Counted from 1, in the whole query. */
  readonly column: number;
}

interface Draft {
  readonly conditions: Condition[];
  readonly versions: VersionBound[];
  order?: ImageOrder;
  limit?: number;
}

/** Fails with `input.invalid` and every fault at once, each with its column. */
export function parseImageQuery(text: string): ImageQuery {
  const faults: Fault[] = [];
  const draft: Draft = { conditions: [], versions: [] };
  for (const word of words(text, faults)) readWord(word, draft, faults);
  const { conditions, versions, order = 'newest', limit } = draft;
  const query = { conditions, versions, order, ...(limit === undefined ? {} : { limit }) };
  const byVersion = versions.length > 0 || order === 'version' || order === '-version';
  if (faults.length === 0 && byVersion && componentOf(query) === undefined) {
    faults.push(
      fault(1, 'version', 'Versions compare within one component only', { expected: 'component=NAME' }),
    );
  }
  if (faults.length === 0) return query;
  const [first] = faults;
  throw new KilnError(
    'input.invalid',
    `The query cannot be read: ${first?.message} (column ${first?.location?.column}).`,
    {
      next:
        first?.didYouMean === undefined
          ? 'Correct the query; see docs/catalogue.md.'
          : `Did you mean ${first.didYouMean}?`,
      faults,
    },
  );
}

/** Split at spaces outside of quotes. */
function words(text: string, faults: Fault[]): Word[] {
  const found: Word[] = [];
  let start: number | undefined;
  let quotedAt: number | undefined;
  for (let at = 0; at <= text.length; at += 1) {
    const character = text[at];
    if (character === '"') quotedAt = quotedAt === undefined ? at : undefined;
    const ends = character === undefined || (quotedAt === undefined && /\s/.test(character));
    if (!ends) start ??= at;
    else if (start !== undefined) {
      found.push({ text: text.slice(start, at), column: start + 1 });
      start = undefined;
    }
  }
  if (quotedAt !== undefined) faults.push(fault(quotedAt + 1, 'query', 'a quotation mark is never closed'));
  return found;
}

function readWord(word: Word, draft: Draft, faults: Fault[]): void {
  const { key, operator, value } = split(word.text);
  const refuse: Refuse = (message, more = {}, offset = 0) => {
    faults.push(fault(word.column + offset, key, message, more));
  };
  if (operator === undefined) readLoneWord(word, draft, refuse);
  else if (!KEY.test(key)) refuse(`"${key}" cannot be the name of a field or a tag`);
  else readPair({ key, operator, value }, draft, refuse);
}

function readPair({ key, operator, value }: Pair, draft: Draft, refuse: Refuse): void {
  const valueOffset = key.length + operator.length;
  const meant = key.startsWith('tag.') ? undefined : mistaken(key);
  if (meant !== undefined) {
    refuse(`"${key}" is not a field`, { didYouMean: `${meant}${operator}${value}, or tag.${key}` });
  } else if (value === '') {
    refuse(`${key} has no value`, { expected: `${key}${operator}VALUE` }, valueOffset);
  } else if (operator === '=' || operator === '!=') {
    if (key === 'order' || key === 'limit') readControl(key, operator, value, draft, refuse);
    else
      readValues(key, operator === '!=', value, draft, (message, more) => refuse(message, more, valueOffset));
  } else if (key === 'version') {
    draft.versions.push({ operator, version: unquoted(value) });
  } else {
    refuse(`${key} cannot be compared by ${operator}`, { expected: 'version, or = and !=' }, key.length);
  }
}

function readValues(key: string, negated: boolean, value: string, draft: Draft, refuse: Refuse): void {
  const values = valuesOf(value);
  const wrong = FLAGS.has(key) ? values.find((one) => one !== 'true' && one !== 'false') : undefined;
  if (values.some((one) => one === '' || one.length > LONGEST_VALUE)) {
    refuse(`a value of ${key} is empty or longer than ${LONGEST_VALUE} characters`);
  } else if (wrong !== undefined) {
    refuse(`"${wrong}" is not possible for ${key}`, { found: wrong, expected: 'true or false' });
  } else {
    draft.conditions.push(conditionOf(key, values, negated));
  }
}

interface Pair {
  readonly key: string;
  readonly operator: Operator;
  readonly value: string;
}

type Operator = '=' | '!=' | VersionBound['operator'];
type Refuse = (message: string, more?: Partial<Fault>, offset?: number) => void;

function readLoneWord(word: Word, draft: Draft, refuse: Refuse): void {
  const [component = '', channel, ...rest] = unquoted(word.text).split(':');
  if (!/^[a-z][a-z0-9-]*$/.test(component) || channel === '' || rest.length > 0) {
    refuse(`"${word.text}" says nothing`, { expected: 'key=value, a component, or component:channel' });
    return;
  }
  draft.conditions.push(conditionOf('component', [component], false));
  if (channel !== undefined) draft.conditions.push(conditionOf('channel', [channel], false));
}

function readControl(
  key: (typeof CONTROLS)[number],
  operator: '=' | '!=',
  value: string,
  draft: Draft,
  refuse: Refuse,
): void {
  const offset = key.length + 1;
  const order = ORDERS.find((one) => one === value);
  const limit = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  const fits = limit >= 1 && limit <= LARGEST_LIMIT;
  if (operator === '!=') refuse(`${key} takes = only`, {}, key.length);
  else if (draft[key] !== undefined) refuse(`${key} is given twice`);
  else if (key === 'order' && order !== undefined) draft.order = order;
  else if (key === 'limit' && fits) draft.limit = limit;
  else if (key === 'limit')
    refuse(`"${value}" is not a limit`, { found: value, expected: `1 to ${LARGEST_LIMIT}` }, offset);
  else
    refuse(
      `"${value}" is not an order`,
      { found: value, expected: ORDERS.join(', '), ...near(value) },
      offset,
    );
}

function conditionOf(key: string, values: readonly string[], negated: boolean): Condition {
  const field = IMAGE_FIELDS.find((one): one is ImageField => one === key);
  if (field !== undefined) return { on: 'field', field, values, negated };
  const ofArtifact = ARTIFACT_FIELDS.find((one): one is ArtifactField => one === key);
  if (ofArtifact !== undefined) return { on: 'artifact', field: ofArtifact, values, negated };
  return { on: 'tag', key: key.startsWith('tag.') ? key.slice('tag.'.length) : key, values, negated };
}

function split(text: string): { key: string; operator?: Operator; value: string } {
  const found = OPERATOR.exec(text);
  if (found === null) return { key: text, value: '' };
  return {
    key: text.slice(0, found.index),
    operator: found[0] as Operator,
    value: text.slice(found.index + found[0].length),
  };
}

/** Commas outside of quotes part them. */
function valuesOf(text: string): readonly string[] {
  return (text.match(/(?:"[^"]*"|[^",])+|(?<=^|,)(?=,|$)/g) ?? ['']).map(unquoted);
}

function unquoted(text: string): string {
  return text.replaceAll('"', '');
}

/** A key that is one slip from a field is taken for a slip, not for a tag. */
function mistaken(key: string): string | undefined {
  if (WORDS.some((word) => word === key)) return undefined;
  return key.length < 4 ? undefined : WORDS.find((word) => isOneSlip(key.toLowerCase(), word));
}

function near(value: string): { didYouMean?: string } {
  const choice = ORDERS.find((one) => isOneSlip(value.toLowerCase(), one));
  return choice === undefined ? {} : { didYouMean: choice };
}

/** One letter too many, too few, other, or two exchanged; or the same but for case. */
function isOneSlip(text: string, word: string): boolean {
  if (text === word) return true;
  if (Math.abs(text.length - word.length) > 1) return false;
  let same = 0;
  while (same < text.length && text[same] === word[same]) same += 1;
  const [a, b] = [text.slice(same), word.slice(same)];
  const exchanged = a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2);
  return a.slice(1) === b.slice(1) || a.slice(1) === b || a === b.slice(1) || exchanged;
}

function fault(column: number, path: string, message: string, more: Partial<Fault> = {}): Fault {
  return { path, message, location: { file: 'query', line: 1, column }, ...more };
}

export function ofComponent(query: ImageQuery, component: ComponentName): ImageQuery {
  const condition: Condition = { on: 'field', field: 'component', values: [component], negated: false };
  return { ...query, conditions: [...query.conditions, condition] };
}

/** The image with the artifacts that the query asks for before the others: their digest is what a script wants. */
export function fittingFirst(image: Image, query: ImageQuery): Image {
  const fits = (artifact: Artifact): boolean =>
    query.conditions.every((one) => {
      if (one.on !== 'artifact' || one.values.includes(ANY_VALUE)) return true;
      const value = artifact[one.field];
      return (value !== undefined && one.values.includes(value)) !== one.negated;
    });
  const fitting = image.artifacts.filter(fits);
  return { ...image, artifacts: [...fitting, ...image.artifacts.filter((one) => !fitting.includes(one))] };
}
