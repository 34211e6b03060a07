/** Reads YAML or JSON text into values that still know their line, so that every fault can name its place. */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type TagId,
  type Tags,
} from 'yaml';
import { type Fault, type FaultLocation, KilnError } from '../../domain/errors.ts';
import { nearestName } from './nearest-name.ts';

export type CheckFileFault = 'unreadable' | 'yaml' | 'no-tests' | 'empty' | 'schema';

const MAX_TEXT_BYTES = 4 * 1024 * 1024;

/**
 * Smolder's files are YAML 1.1 (`verify: no` is false there); its dates, times and sets are left out,
 * since no answer in JSON could ever equal them.
 */
function withoutOddTypes(tags: Tags): Tags {
  const odd = ['timestamp', 'intTime', 'floatTime', 'binary', 'omap', 'pairs', 'set'] satisfies TagId[];
  const oddTags = /:(timestamp|binary|omap|pairs|set)$/;
  return tags.filter((tag) =>
    typeof tag === 'string'
      ? !(odd as readonly string[]).includes(tag)
      : !oddTags.test(tag.tag) && !('format' in tag && tag.format === 'TIME'),
  );
}

export function invalidFile(reason: CheckFileFault, message: string, faults: readonly Fault[]): KilnError {
  return new KilnError('check.invalid', message, {
    faults,
    next: 'Correct the check file; docs/checks.md describes every key.',
    details: { reason },
  });
}

export type PathKey = string | number;

/** A parsed document and where each of its values stands. */
export class Source {
  readonly file: string;
  readonly root: unknown;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(text: string, file: string) {
    this.file = file;
    this.#lines = new LineCounter();
    if (text.length > MAX_TEXT_BYTES) {
      throw invalidFile('yaml', `${file} is larger than ${MAX_TEXT_BYTES} bytes.`, []);
    }
    try {
      this.#document = parseDocument(text, {
        version: '1.1',
        customTags: withoutOddTypes,
        lineCounter: this.#lines,
        prettyErrors: false,
      });
      if (this.#document.errors.length === 0) this.root = this.#document.toJS();
    } catch (thrown) {
      // Too many aliases, or nesting deeper than the stack: the reader says so by throwing.
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw invalidFile('yaml', `${file} cannot be read as YAML: ${why}`, []);
    }
    const faults = this.#document.errors.map((error) => ({
      path: '',
      message: error.message,
      location: this.#at(error.pos[0]),
    }));
    if (faults.length > 0) throw invalidFile('yaml', `${file} is not valid YAML.`, faults);
  }

  #at(offset: number): FaultLocation {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  /** Where the value stands, or its key when `key` is true; the nearest place above it when it has none of its own. */
  locate(path: readonly PathKey[], key = false): FaultLocation {
    let node: unknown = this.#document.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const [index, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document);
      let next: unknown;
      let keyOffset: number | undefined;
      if (isMap(node)) {
        const pair = node.items.find(
          (item) => (isScalar(item.key) ? String(item.key.value) : '') === String(step),
        );
        keyOffset = pair && isNode(pair.key) ? pair.key.range?.[0] : undefined;
        next = pair?.value ?? undefined;
      } else if (isSeq(node)) {
        next = node.items[Number(step)];
      }
      const valueOffset = isNode(next) ? next.range?.[0] : undefined;
      const last = index === path.length - 1;
      offset = (last && key ? keyOffset : undefined) ?? valueOffset ?? keyOffset ?? offset;
      node = next;
    }
    return this.#at(offset);
  }
}

/** A value with its path; what does not fit is noted as a fault, so that all faults are told at once. */
export class Field {
  readonly value: unknown;
  readonly path: readonly PathKey[];
  readonly #source: Source;
  readonly #faults: Fault[];

  constructor(source: Source, faults: Fault[], path: readonly PathKey[], value: unknown) {
    this.#source = source;
    this.#faults = faults;
    this.path = path;
    this.value = value;
  }

  get location(): FaultLocation {
    return this.#source.locate(this.path);
  }

  get key(): string {
    return String(this.path.at(-1) ?? '');
  }

  fault(message: string, more: { expected?: string; didYouMean?: string; atKey?: boolean } = {}): undefined {
    const { atKey, ...rest } = more;
    this.#faults.push({
      path: this.path.join('.'),
      message,
      location: this.#source.locate(this.path, atKey ?? false),
      ...rest,
    });
    return undefined;
  }

  #wrong(expected: string): undefined {
    return this.fault(`"${this.key}" is ${describe(this.value)} where ${expected} is expected.`, {
      expected,
    });
  }

  child(key: PathKey, value: unknown): Field {
    return new Field(this.#source, this.#faults, [...this.path, key], value);
  }

  /** The entries of a mapping; undefined, with a fault, for anything else. */
  entries(): readonly Field[] | undefined {
    const { value } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.#wrong('a mapping');
    return Object.entries(value).map(([key, item]) => this.child(key, item));
  }

  items(): readonly Field[] | undefined {
    if (!Array.isArray(this.value)) return this.#wrong('a list');
    return this.value.map((item: unknown, index) => this.child(index, item));
  }

  get isMapping(): boolean {
    return typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value);
  }

  get isList(): boolean {
    return Array.isArray(this.value);
  }

  /** Text; numbers and booleans as they would be written. */
  text(): string | undefined {
    const { value } = this;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
      return String(value);
    return this.#wrong('text');
  }

  /** A whole number, also written as text. */
  integer(minimum: number, maximum: number): number | undefined {
    const expected = `a whole number from ${minimum} to ${maximum}`;
    const number = this.#number();
    if (number === undefined || !Number.isInteger(number)) return this.#wrong(expected);
    if (number < minimum || number > maximum) {
      return this.fault(`"${this.key}" is ${number}, which is not ${expected}.`, { expected });
    }
    return number;
  }

  positiveNumber(): number | undefined {
    const number = this.#number();
    return number !== undefined && Number.isFinite(number) && number > 0
      ? number
      : this.#wrong('a number above 0');
  }

  #number(): number | undefined {
    if (typeof this.value === 'number') return this.value;
    if (typeof this.value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(this.value)) return Number(this.value);
    return undefined;
  }

  /** True or false, also as the texts "True" and "False" that Smolder's own examples use. */
  boolean(): boolean | undefined {
    if (typeof this.value === 'boolean') return this.value;
    if (typeof this.value === 'string') {
      const word = this.value.trim().toLowerCase();
      if (['true', 'yes', 'on'].includes(word)) return true;
      if (['false', 'no', 'off'].includes(word)) return false;
    }
    return this.#wrong('true or false');
  }

  unknownKey(what: string, known: readonly string[]): undefined {
    const meant = nearestName(this.key, known);
    return this.fault(`There is no ${what} "${this.key}".`, {
      atKey: true,
      expected: `one of ${known.join(', ')}`,
      ...(meant === undefined ? {} : { didYouMean: meant }),
    });
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? 'text' : `${value}`;
}
