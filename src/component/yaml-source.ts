/** YAML text that remembers where each value stands. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { Fault, FaultLocation } from '../domain/errors.ts';
import { hazardIn } from './yaml-hazards.ts';

export type Path = readonly (string | number)[];

export interface YamlSource {
  /** Plain JSON-like data; undefined when the text could not be read at all. */
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** Where the value stands; where it is missing, the nearest thing around it. */
  locateValue(path: Path): FaultLocation;
  /** Where the key of the value stands. */
  locateKey(path: Path): FaultLocation;
  /** A scalar as it was written, so that `1.10` stays `1.10`; undefined for anything else. */
  written(path: Path): string | undefined;
  /** Where a scalar with this text stands first. */
  locateText(text: string): FaultLocation | undefined;
}

/** Enough for any honest file; a file of aliases of aliases is stopped here. */
const MAX_ALIASES = 100;
/** What takes the place of bytes that are none. */
const NOT_UTF8 = '\uFFFD';

export function readYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    logLevel: 'error', // what it warns of is among the faults
  });
  const locate = (offset: number): FaultLocation => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...document.errors, ...document.warnings].map((error) => yamlFault(error, text, locate));
  const odd = text.indexOf(NOT_UTF8);
  if (odd !== -1) {
    const message = 'a character that is not UTF-8';
    faults.push({ path: '', message, expected: 'a file in UTF-8', location: locate(odd) });
  }
  const plain = faults.length === 0 || document.errors.every(({ code }) => code === 'DUPLICATE_KEY');
  const { value, fault } = plain ? plainValue(document, locate) : { value: undefined, fault: undefined };
  return {
    value,
    faults: fault === undefined ? faults : [...faults, fault],
    locateValue: (path) => locate(offsetOf(walk(document, path), 'value')),
    locateKey: (path) => locate(offsetOf(walk(document, path), 'key')),
    written: (path) => writtenScalar(walk(document, path)),
    locateText: (wanted) => {
      const offset = offsetOfText(document, wanted);
      return offset === undefined ? undefined : locate(offset);
    },
  };
}

function plainValue(
  document: Document,
  locate: (offset: number) => FaultLocation,
): { value: unknown; fault?: Fault } {
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_ALIASES });
    const hazard = hazardIn(value);
    if (hazard === undefined) return { value };
    const { path, at, ...said } = hazard;
    return {
      value: undefined,
      fault: { path: '', ...said, location: locate(offsetOf(walk(document, path), at)) },
    };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      value: undefined,
      fault: { path: '', message: `not readable: ${message}`, location: locate(0) },
    };
  }
}

/** The parser's own words, where it has none that help an author. */
const PLAIN_WORDS: Readonly<Record<string, { message: string; expected?: string }>> = {
  DUPLICATE_KEY: { message: 'this key stands here twice', expected: 'each key once' },
  TAB_AS_INDENT: { message: 'a tab in the indentation', expected: 'spaces' },
  MULTIPLE_DOCS: {
    message: 'more than one document in the file',
    expected: 'one document, without "---" between',
  },
  RESOURCE_EXHAUSTION: { message: 'nested too deeply' },
  TAG_RESOLVE_FAILED: { message: 'an unknown tag', expected: 'plain YAML' },
};

function yamlFault(error: YAMLError, text: string, locate: (offset: number) => FaultLocation): Fault {
  const known = PLAIN_WORDS[error.code];
  const [start, end] = error.pos;
  const found = firstWord(text.slice(start, Math.max(end, start + 1)));
  return {
    path: '',
    message: known?.message ?? error.message,
    ...(found !== '' && { found }),
    ...(known?.expected !== undefined && { expected: known.expected }),
    location: locate(start),
  };
}

function firstWord(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 40);
}

interface Place {
  /** The deepest node reached, and the pair that it is the value of. */
  readonly node: unknown;
  readonly pair: Pair | undefined;
  readonly whole: boolean;
}

function walk(document: Document, path: Path): Place {
  let node: unknown = document.contents;
  let pair: Pair | undefined;
  for (const step of path) {
    const here = isAlias(node) ? node.resolve(document) : node;
    const next = childOf(document, here, step);
    if (next === undefined) return { node, pair, whole: false };
    node = next.node;
    pair = next.pair ?? pair;
  }
  return { node, pair, whole: true };
}

function childOf(
  document: Document,
  node: unknown,
  step: string | number,
): { node: unknown; pair?: Pair } | undefined {
  if (isMap(node)) {
    const pair = pairsOf(node).get(String(step));
    return pair ? { node: pair.value ?? pair.key, pair } : mergedChild(document, node, step);
  }
  if (isSeq(node) && typeof step === 'number') {
    const item: unknown = node.items[step];
    return item === undefined ? undefined : { node: item };
  }
  return undefined;
}

/** What comes by `<<` stands where the anchor does. */
function mergedChild(
  document: Document,
  node: YAMLMap,
  step: string | number,
): { node: unknown; pair?: Pair } | undefined {
  const merged: unknown = node.items.find(({ key }) => isScalar(key) && key.source === '<<')?.value;
  for (const source of isSeq(merged) ? merged.items : [merged]) {
    const map: unknown = isAlias(source) ? source.resolve(document) : source;
    const found = map === node ? undefined : childOf(document, map, step);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Looked up once for each fault: a large map would cost its square. */
const known = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

/** By key; of two with one key the first. */
function pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
  const there = known.get(map);
  if (there !== undefined) return there;
  const pairs = new Map(map.items.toReversed().map((pair) => [keyText(pair.key), pair]));
  known.set(map, pairs);
  return pairs;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

function offsetOf(place: Place, part: 'key' | 'value'): number {
  const key: unknown = place.pair?.key;
  const inSequence =
    place.pair !== undefined && place.pair.value !== place.node && place.pair.key !== place.node;
  const wanted = (part === 'key' || !place.whole) && !inSequence && key !== undefined ? key : place.node;
  return startOf(wanted) ?? startOf(place.node) ?? startOf(key) ?? 0;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? (node.range?.[0] ?? undefined) : undefined;
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
}

function offsetOfText(document: Document, wanted: string): number | undefined {
  let offset: number | undefined;
  visit(document, {
    Scalar: (_, node) => {
      if (node.value !== wanted) return undefined;
      offset = node.range?.[0];
      return visit.BREAK;
    },
  });
  return offset;
}

function writtenScalar(place: Place): string | undefined {
  if (!place.whole || !isScalar(place.node)) return undefined;
  return typeof place.node.source === 'string' ? place.node.source : String(place.node.value);
}
