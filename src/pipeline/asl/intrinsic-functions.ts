/** What each intrinsic function does, with the limits that AWS documents for it. */
import { createHash } from 'node:crypto';
import { isArray, isObject, type Json, type JsonObject, sameJson } from './json.ts';
import { type Entropy, seededFraction } from './random.ts';

/** A function was given what it cannot work with. */
export class IntrinsicRefusal extends Error {
  override readonly name = 'IntrinsicRefusal';
}

export type IntrinsicFunction = (args: readonly Json[], entropy: Entropy) => Json;

const MAX_RANGE = 1_000;
const MAX_TEXT = 10_000;
const HASHES: Readonly<Record<string, string>> = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

export const intrinsicFunctions: ReadonlyMap<string, IntrinsicFunction> = new Map<string, IntrinsicFunction>([
  ['States.Format', format],
  ['States.StringToJson', (args) => stringToJson(text(args, 0, 1))],
  ['States.JsonToString', (args) => JSON.stringify(value(args, 0, 1))],
  ['States.Array', (args) => args],
  ['States.ArrayPartition', (args) => partition(list(args, 0, 2), positive(args, 1))],
  ['States.ArrayContains', (args) => list(args, 0, 2).some((item) => sameJson(item, value(args, 1)))],
  ['States.ArrayRange', (args) => range(whole(args, 0, 3), whole(args, 1), whole(args, 2))],
  ['States.ArrayGetItem', (args) => item(list(args, 0, 2), whole(args, 1))],
  ['States.ArrayLength', (args) => list(args, 0, 1).length],
  ['States.ArrayUnique', (args) => unique(list(args, 0, 1))],
  ['States.Base64Encode', (args) => Buffer.from(short(args, 0, 1), 'utf8').toString('base64')],
  ['States.Base64Decode', (args) => Buffer.from(short(args, 0, 1), 'base64').toString('utf8')],
  ['States.Hash', (args) => hash(value(args, 0, 2), text(args, 1))],
  ['States.JsonMerge', (args) => merge(object(args, 0, 3), object(args, 1), value(args, 2))],
  ['States.MathRandom', mathRandom],
  ['States.MathAdd', (args) => whole(args, 0, 2) + whole(args, 1)],
  ['States.StringSplit', (args) => split(text(args, 0, 2), text(args, 1))],
  ['States.UUID', (_, entropy) => entropy.uuid()],
]);

function format(args: readonly Json[]): Json {
  const [template, ...values] = args;
  if (typeof template !== 'string') throw new IntrinsicRefusal('The template must be a string');
  let used = 0;
  const filled = template.replaceAll(/\\([{}])|\{\}/g, (_, escaped: string | undefined) => {
    if (escaped !== undefined) return escaped;
    const inserted = values[used];
    used += 1;
    return inserted === undefined ? '{}' : shown(inserted);
  });
  if (used === values.length) return filled;
  throw new IntrinsicRefusal(
    `The template has ${used} placeholders but ${values.length} arguments are given`,
  );
}

function shown(inserted: Json): string {
  return typeof inserted === 'string' ? inserted : JSON.stringify(inserted);
}

/** Nothing but space is null, as AWS has it. */
export function stringToJson(written: string): Json {
  if (written.trim() === '') return null;
  try {
    const read: Json = JSON.parse(written);
    return read === 0 ? 0 : read;
  } catch {
    throw new IntrinsicRefusal(`Invalid JSON: ${written.slice(0, 100)}`);
  }
}

export function partition(items: readonly Json[], size: number): Json {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) =>
    items.slice(at * size, (at + 1) * size),
  );
}

export function range(first: number, last: number, step: number): readonly Json[] {
  if (step === 0) throw new IntrinsicRefusal('The step of a range cannot be 0');
  const length = Math.max(Math.floor((last - first) / step) + 1, 0);
  if (length > MAX_RANGE) throw new IntrinsicRefusal(`A range has at most ${MAX_RANGE} items`);
  return Array.from({ length }, (_, at) => first + at * step);
}

function item(items: readonly Json[], index: number): Json {
  const found = index < 0 ? undefined : items[index];
  if (found === undefined) throw new IntrinsicRefusal(`Index ${index} is out of the array's bounds`);
  return found;
}

function unique(items: readonly Json[]): Json {
  return items.filter((one, at) => items.findIndex((other) => sameJson(one, other)) === at);
}

export function hash(data: Json, algorithm: string): Json {
  const name = HASHES[algorithm];
  if (name === undefined)
    throw new IntrinsicRefusal(`${algorithm} is not one of ${Object.keys(HASHES).join(', ')}`);
  const bytes = shown(data);
  if (bytes.length > MAX_TEXT) throw new IntrinsicRefusal(`At most ${MAX_TEXT} characters can be hashed`);
  return createHash(name).update(bytes, 'utf8').digest('hex');
}

function merge(first: JsonObject, second: JsonObject, deep: Json): Json {
  if (deep === false) return { ...first, ...second };
  throw new IntrinsicRefusal('Only the shallow merging mode (false) is supported');
}

/** Whole numbers from the first (included) to the last (excluded). */
function mathRandom(args: readonly Json[], entropy: Entropy): Json {
  if (args.length !== 2 && args.length !== 3) throw new IntrinsicRefusal('2 or 3 arguments are expected');
  const first = rounded(args, 0);
  const last = rounded(args, 1);
  if (first >= last) throw new IntrinsicRefusal('The first number must be less than the second');
  const fraction = args.length === 3 ? seededFraction(rounded(args, 2)) : entropy.fraction();
  return first + Math.floor(fraction * (last - first));
}

/** Each character of the second is a separator, and empty parts vanish, as in Java's tokenizer. */
function split(whole: string, separators: string): Json {
  const parts: string[] = [''];
  for (const character of whole) {
    if (separators.includes(character)) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.filter((part) => part !== '');
}

function value(args: readonly Json[], at: number, count?: number): Json {
  const given = args[at];
  if (given === undefined || (count !== undefined && args.length !== count)) {
    throw new IntrinsicRefusal(`${count ?? at + 1} arguments are expected, ${args.length} are given`);
  }
  return given;
}

function text(args: readonly Json[], at: number, count?: number): string {
  const given = value(args, at, count);
  if (typeof given !== 'string') throw new IntrinsicRefusal(`Argument ${at + 1} must be a string`);
  return given;
}

function short(args: readonly Json[], at: number, count?: number): string {
  const given = text(args, at, count);
  if (given.length > MAX_TEXT) throw new IntrinsicRefusal(`At most ${MAX_TEXT} characters are possible`);
  return given;
}

function list(args: readonly Json[], at: number, count?: number): readonly Json[] {
  const given = value(args, at, count);
  if (!isArray(given)) throw new IntrinsicRefusal(`Argument ${at + 1} must be an array`);
  return given;
}

function object(args: readonly Json[], at: number, count?: number): JsonObject {
  const given = value(args, at, count);
  if (!isObject(given)) throw new IntrinsicRefusal(`Argument ${at + 1} must be an object`);
  return given;
}

function rounded(args: readonly Json[], at: number): number {
  const given = value(args, at);
  if (typeof given !== 'number') throw new IntrinsicRefusal(`Argument ${at + 1} must be a number`);
  return Math.round(given);
}

function whole(args: readonly Json[], at: number, count?: number): number {
  value(args, at, count);
  return rounded(args, at);
}

function positive(args: readonly Json[], at: number): number {
  const given = whole(args, at);
  if (given < 1) throw new IntrinsicRefusal(`Argument ${at + 1} must be greater than 0`);
  return given;
}
