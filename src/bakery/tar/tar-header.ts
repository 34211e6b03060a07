/**
 * Deterministic tar headers: POSIX ustar, with pax records only where ustar cannot say it (long or
 * non-ASCII names, sizes from 8 GiB). Times are 0 and owners are 0, so a header depends on nothing but
 * its entry. Format: POSIX.1-2017, utility `pax`.
 */
import { Buffer } from 'node:buffer';

export const BLOCK_BYTES = 512;
/** Two zero blocks end an archive. */
export const TRAILER_BYTES = 2 * BLOCK_BYTES;

export type TarKind = 'file' | 'symlink' | 'directory';

export interface TarEntry {
  readonly kind: TarKind;
  /** Relative, `/` between segments, none at the end. */
  readonly path: string;
  /** 0o644 or 0o755 for files. */
  readonly mode: number;
  /** 0 for all but files. */
  readonly sizeBytes: number;
  /** Target of a symlink, otherwise empty. */
  readonly link: string;
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const OCTAL_SIZE_LIMIT = 8 * 1024 ** 3;
const TYPE_FLAG: Readonly<Record<TarKind, string>> = { file: '0', symlink: '2', directory: '5' };

export function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Size of what `tarHeader` makes, without making it. */
export function headerBytes(entry: TarEntry): number {
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  const plain =
    splitName(name) !== undefined && fits(entry.link, NAME_BYTES) && entry.sizeBytes < OCTAL_SIZE_LIMIT;
  return plain ? BLOCK_BYTES : tarHeader(entry).length;
}

/** All blocks that stand before the entry's content. */
export function tarHeader(entry: TarEntry): Buffer {
  const name = entry.kind === 'directory' ? `${entry.path}/` : entry.path;
  const split = splitName(name);
  const records: string[] = [];
  if (split === undefined) records.push(paxRecord('path', name));
  if (!fits(entry.link, NAME_BYTES)) records.push(paxRecord('linkpath', entry.link));
  if (entry.sizeBytes >= OCTAL_SIZE_LIMIT) records.push(paxRecord('size', String(entry.sizeBytes)));

  const place = split ?? { prefix: '', name: asciiStandIn(name) };
  const link = fits(entry.link, NAME_BYTES) ? entry.link : asciiStandIn(entry.link);
  const sizeBytes = entry.sizeBytes >= OCTAL_SIZE_LIMIT ? 0 : entry.sizeBytes;
  const own = ustarBlock(place, entry.mode, sizeBytes, TYPE_FLAG[entry.kind], link);
  if (records.length === 0) return own;

  const body = Buffer.from(records.join(''), 'utf8');
  const padded = Buffer.alloc(paddedBytes(body.length));
  body.copy(padded);
  const extended = ustarBlock({ prefix: '', name: 'pax-header' }, 0o644, body.length, 'x', '');
  return Buffer.concat([extended, padded, own]);
}

interface SplitName {
  readonly prefix: string;
  readonly name: string;
}

/** Undefined: ustar cannot hold the name. */
function splitName(name: string): SplitName | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= NAME_BYTES) return { prefix: '', name };
  // The leftmost slash that leaves a short enough name: one split for one name, always the same.
  const slash = name.indexOf('/', name.length - NAME_BYTES - 1);
  if (slash <= 0 || slash > PREFIX_BYTES || slash === name.length - 1) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

function fits(text: string, limitBytes: number): boolean {
  return text.length <= limitBytes && isAscii(text);
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: every ASCII character but NUL may be in a name
  return /^[\x01-\x7f]*$/.test(text);
}

/** What a reader without pax would see; the pax record holds the real name. */
function asciiStandIn(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '_').slice(0, NAME_BYTES);
}

/** `length key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length += 1;
  return `${length} ${key}=${value}\n`;
}

function ustarBlock(place: SplitName, mode: number, sizeBytes: number, type: string, link: string): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(place.name, 0, 'latin1');
  block.write(`${octal(mode, 7)}\0`, 100, 'latin1');
  block.write('0000000\0' + '0000000\0', 108, 'latin1');
  block.write(`${octal(sizeBytes, 11)}\0`, 124, 'latin1');
  block.write('00000000000\0', 136, 'latin1');
  block.write('        ', 148, 'latin1');
  block.write(type, 156, 'latin1');
  block.write(link, 157, 'latin1');
  block.write('ustar\0' + '00', 257, 'latin1');
  block.write('0000000\0' + '0000000\0', 329, 'latin1');
  block.write(place.prefix, 345, 'latin1');
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) sum += block[at] ?? 0;
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
