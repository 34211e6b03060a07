/**
 * Answers a query from the index alone: which images, in which order. Each condition is a set of image numbers in
 * chunks; the sets are intersected chunk by chunk, and only chunks that still hold something are read for the next
 * condition. So the cost is that of reading a few hundred small rows, whether anything matches or not.
 */
import type { ImageId } from '../../domain/ids.ts';
import {
  ANY_VALUE,
  ARTIFACT_FIELDS,
  type ArtifactField,
  type Condition,
  componentOf,
  type ImageQuery,
} from '../../domain/image-query.ts';
import type { Reader } from '../engine.ts';
import { type Bits, CHUNK_NUMBERS, chunkOf, combine, isEmpty, noBits, numbersOf, setBit } from './bits.ts';
import { type ChunkSets, cursorText, type Found, noCursor, pageOf, type SearchPage } from './found.ts';
import { readPostings } from './postings.ts';
import {
  ALL,
  type ArtifactWish,
  anyTagTerm,
  anyTerm,
  artifactTerm,
  edgeTerm,
  fieldTerm,
  tagTerm,
} from './terms.ts';
import { walkVersions } from './walk-versions.ts';

/** Chunks read at a time, newest first: what is asked for most often is in the first ones. */
const WINDOWS = [4, 32, 4096] as const;

/** What one condition, or several that belong together, come to: any of the terms, or these numbers. */
interface Clause {
  readonly terms: readonly string[];
  readonly numbers: readonly number[];
  readonly negated: boolean;
}

/** @param page its limit is the least of what the query and the caller ask for */
export async function search(db: Reader, query: ImageQuery, page: SearchPage): Promise<Found> {
  const clauses = await clausesOf(db, query);
  const newest = await newestNumber(db);
  if (query.order === 'version' || query.order === '-version' || query.versions.length > 0) {
    const component = componentOf(query) ?? '';
    const found = await matching(db, clauses, 0, chunkOf(newest));
    return walkVersions(db, { component, query, page, found });
  }
  const oldestFirst = query.order === 'oldest';
  const after = readCursor(page.cursor, oldestFirst);
  const numbers: number[] = [];
  for (const [low, high] of windows(newest, after, oldestFirst)) {
    const found = await matching(db, clauses, low, high);
    const chunks = [...found.keys()].sort((a, b) => (oldestFirst ? a - b : b - a));
    for (const chunk of chunks) {
      if (numbers.length > page.limit) break;
      const inChunk = numbersOf(chunk, found.get(chunk) ?? noBits());
      for (const number of oldestFirst ? inChunk : inChunk.reverse()) {
        if (oldestFirst ? number > after : number < after) numbers.push(number);
      }
    }
    if (numbers.length > page.limit) break;
  }
  return pageOf(db, numbers, page.limit, (last) => String(last));
}

function readCursor(cursor: string | undefined, oldestFirst: boolean): number {
  if (cursor === undefined) return oldestFirst ? 0 : Number.MAX_SAFE_INTEGER;
  const text = cursorText(cursor);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw noCursor(cursor);
}

function* windows(newest: number, after: number, oldestFirst: boolean): Iterable<readonly [number, number]> {
  const last = chunkOf(newest);
  let done = 0;
  const first = oldestFirst ? chunkOf(after) : Math.min(last, chunkOf(Math.min(after, newest)));
  for (const size of WINDOWS) {
    const [low, high] = oldestFirst
      ? [first + done, Math.min(last, first + done + size - 1)]
      : [Math.max(0, first - done - size + 1), first - done];
    if (low > high || high < 0) return;
    yield [low, high];
    done += size;
  }
  // More than sixty million images: the rest in one piece.
  if (oldestFirst ? first + done <= last : first - done >= 0)
    yield oldestFirst ? [first + done, last] : [0, first - done];
}

async function matching(
  db: Reader,
  clauses: readonly Clause[],
  low: number,
  high: number,
): Promise<ChunkSets> {
  let found: Map<number, Bits> | undefined;
  for (const clause of clauses) {
    if (found?.size === 0) break;
    const chunks: readonly number[] = found === undefined ? [] : [...found.keys()];
    const [from, to] = found === undefined ? [low, high] : [Math.min(...chunks), Math.max(...chunks)];
    const sets = await setsOf(db, clause, from, to);
    if (found === undefined) found = sets;
    else narrow(found, sets, clause.negated);
  }
  return found ?? new Map();
}

function narrow(found: Map<number, Bits>, sets: ChunkSets, negated: boolean): void {
  for (const [chunk, bits] of found) {
    const other = sets.get(chunk);
    if (other !== undefined) combine(bits, other, negated ? 'and-not' : 'and');
    if ((other === undefined && !negated) || isEmpty(bits)) found.delete(chunk);
  }
}

async function setsOf(db: Reader, clause: Clause, low: number, high: number): Promise<Map<number, Bits>> {
  const sets = new Map<number, Bits>();
  for (const { chunk, bits } of await readPostings(db, clause.terms, low, high)) {
    const there = sets.get(chunk);
    sets.set(chunk, there === undefined ? bits : combine(there, bits, 'or'));
  }
  for (const number of clause.numbers) {
    const chunk = Math.floor(number / CHUNK_NUMBERS);
    if (chunk < low || chunk > high) continue;
    const bits = sets.get(chunk) ?? noBits();
    setBit(bits, number, true);
    sets.set(chunk, bits);
  }
  return sets;
}

/** The first one is never negated. */
async function clausesOf(db: Reader, query: ImageQuery): Promise<readonly Clause[]> {
  const clauses: Clause[] = artifactClauses(query);
  for (const condition of query.conditions) {
    if (condition.on !== 'artifact') clauses.push(await clauseOf(db, condition));
    else if (condition.negated || condition.values.includes(ANY_VALUE)) {
      const terms = condition.values.map((value) =>
        value === ANY_VALUE ? anyTerm(condition.field) : artifactTerm({ [condition.field]: value }),
      );
      clauses.push({ terms, numbers: [], negated: condition.negated });
    }
  }
  // Given images and components first: they leave the fewest chunks.
  const weight = ({ terms, numbers }: Clause): number =>
    numbers.length > 0 ? 0 : terms.some((term) => term.startsWith('component=')) ? 1 : 2;
  const positive = clauses.filter((one) => !one.negated).sort((a, b) => weight(a) - weight(b));
  const negative = clauses.filter((one) => one.negated);
  const all: Clause = { terms: [ALL], numbers: [], negated: false };
  return [...(positive.length === 0 ? [all] : positive), ...negative];
}

/** What is asked of one artifact together, with a term for each combination of the values. */
function artifactClauses(query: ImageQuery): Clause[] {
  const wanted = new Map<ArtifactField, readonly string[]>();
  for (const condition of query.conditions) {
    if (condition.on !== 'artifact' || condition.negated || condition.values.includes(ANY_VALUE)) continue;
    const before = wanted.get(condition.field);
    const both = condition.values.filter((value) => before === undefined || before.includes(value));
    wanted.set(condition.field, both);
  }
  if (wanted.size === 0) return [];
  let wishes: ArtifactWish[] = [{}];
  for (const field of ARTIFACT_FIELDS) {
    const values = wanted.get(field);
    if (values !== undefined)
      wishes = wishes.flatMap((wish) => values.map((value) => ({ ...wish, [field]: value })));
  }
  return [{ terms: wishes.map(artifactTerm), numbers: [], negated: false }];
}

async function clauseOf(db: Reader, condition: Exclude<Condition, { on: 'artifact' }>): Promise<Clause> {
  const { values, negated } = condition;
  if (condition.on === 'tag') {
    const { key } = condition;
    const terms = values.map((value) => (value === ANY_VALUE ? anyTagTerm(key) : tagTerm(key, value)));
    return { terms, numbers: [], negated };
  }
  const { field } = condition;
  switch (field) {
    case 'id':
      return { terms: [], numbers: await numbersById(db, values), negated };
    case 'digest':
      return { terms: [], numbers: await numbersByDigest(db, values), negated };
    case 'parent':
      return { ...(await parentClause(db, values)), negated };
    case 'tested':
    case 'failed':
    case 'revoked':
    case 'outdated':
      return flagClause(field, values, negated);
    default: {
      const terms = values.map((value) => (value === ANY_VALUE ? anyTerm(field) : fieldTerm(field, value)));
      return { terms, numbers: [], negated };
    }
  }
}

function flagClause(flag: string, values: readonly string[], negated: boolean): Clause {
  const both = values.includes('true') && values.includes('false');
  if (both) return { terms: [ALL], numbers: [], negated };
  return { terms: [flag], numbers: [], negated: values.includes('true') ? negated : !negated };
}

async function parentClause(db: Reader, values: readonly string[]): Promise<Omit<Clause, 'negated'>> {
  const numbers = await numbersById(db, values);
  if (numbers.length === 0)
    return { terms: values.includes(ANY_VALUE) ? [anyTerm('parent')] : [], numbers: [] };
  const edges = await db
    .selectFrom('image_edges')
    .select(['parent', 'base'])
    .where('parent', 'in', numbers)
    .execute();
  return { terms: edges.map(({ parent, base }) => edgeTerm(parent, base)), numbers: [] };
}

async function numbersById(db: Reader, ids: readonly string[]): Promise<readonly number[]> {
  const rows = await db
    .selectFrom('image_index')
    .select('number')
    .where('image_id', 'in', ids as readonly ImageId[])
    .execute();
  return rows.map((row) => row.number);
}

async function numbersByDigest(db: Reader, digests: readonly string[]): Promise<readonly number[]> {
  const rows = await db
    .selectFrom('image_artifacts')
    .innerJoin('image_index', 'image_index.image_id', 'image_artifacts.image_id')
    .select('image_index.number')
    .where('image_artifacts.digest', 'in', digests as never)
    .execute();
  return rows.map((row) => row.number);
}

async function newestNumber(db: Reader): Promise<number> {
  const row = await db
    .selectFrom('image_index')
    .select(({ fn }) => fn.max('number').as('number'))
    .executeTakeFirst();
  return row?.number ?? 0;
}
