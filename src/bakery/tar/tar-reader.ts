/** Reads tar archives entry by entry: ustar, pax and the GNU long names that other packers write. */
import type { Buffer } from 'node:buffer';
import { KilnError } from '../../domain/errors.ts';
import { BLOCK_BYTES, paddedBytes, type TarEntry, type TarKind } from './tar-header.ts';

export interface PlacedEntry extends TarEntry {
  /** Where the content stands in the archive. */
  readonly offsetBytes: number;
}

/** Gives bytes of the archive; a view that is valid until the next call. */
export type ReadAt = (offsetBytes: number, lengthBytes: number) => Buffer;

const META_LIMIT_BYTES = 1024 * 1024;

interface Overrides {
  path?: string;
  link?: string;
  sizeBytes?: number;
}

/** @param options.anyType hard links are given as symlinks and devices as empty files, instead of refused */
export function* tarEntries(
  readAt: ReadAt,
  archiveBytes: number,
  options: { readonly anyType: boolean } = { anyType: false },
): Generator<PlacedEntry> {
  let offset = 0;
  let overrides: Overrides = {};
  while (offset + BLOCK_BYTES <= archiveBytes) {
    const block = readAt(offset, BLOCK_BYTES);
    if (block[0] === 0) return;
    const header = parseBlock(block, offset);
    const start = offset + BLOCK_BYTES;
    const sizeBytes = overrides.sizeBytes ?? header.sizeBytes;
    offset = start + paddedBytes(sizeBytes);
    if (offset > archiveBytes) throw broken('an entry goes beyond the end of the archive');

    if (header.type === 'x' || header.type === 'L' || header.type === 'K') {
      if (sizeBytes > META_LIMIT_BYTES) throw broken('a header is larger than 1 MiB');
      const text = readAt(start, sizeBytes).toString('utf8');
      if (header.type === 'x') overrides = { ...overrides, ...parsePax(text) };
      else if (header.type === 'L') overrides.path = withoutNul(text);
      else overrides.link = withoutNul(text);
      continue;
    }
    if (header.type === 'g') continue;
    const path = (overrides.path ?? header.path).replace(/\/+$/, '');
    const link = overrides.link ?? header.link;
    overrides = {};
    const kind = kindOf(header.type, path, options.anyType);
    yield { kind, path, mode: header.mode, sizeBytes, link, offsetBytes: start };
  }
}

interface Block {
  readonly path: string;
  readonly link: string;
  readonly mode: number;
  readonly sizeBytes: number;
  readonly type: string;
}

function parseBlock(block: Buffer, offset: number): Block {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) sum += at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
  if (sum !== number(block, 148, 8)) throw broken(`the header at byte ${offset} has a wrong checksum`);
  const prefix = text(block, 345, 155);
  const name = text(block, 0, 100);
  return {
    path: prefix === '' ? name : `${prefix}/${name}`,
    link: text(block, 157, 100),
    mode: number(block, 100, 8) & 0o777,
    sizeBytes: number(block, 124, 12),
    type: block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0),
  };
}

function kindOf(type: string, path: string, anyType: boolean): TarKind {
  if (type === '0' || type === '7') return 'file';
  if (type === '2') return 'symlink';
  if (type === '5') return 'directory';
  if (anyType) return type === '1' ? 'symlink' : 'file';
  throw broken(`"${path}" is of a type that images do not hold (${JSON.stringify(type)})`);
}

function text(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString('utf8', start, end === -1 || end > start + length ? start + length : end);
}

function number(block: Buffer, start: number, length: number): number {
  if (((block[start] ?? 0) & 0x80) !== 0) {
    // GNU base-256, for sizes beyond octal.
    let value = (block[start] ?? 0) & 0x7f;
    for (let at = start + 1; at < start + length; at++) value = value * 256 + (block[at] ?? 0);
    return value;
  }
  const digits = text(block, start, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw broken('a number in a header is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function parsePax(body: string): Overrides {
  // Lengths count bytes; latin1 makes one character of each byte.
  const bytes = globalThis.Buffer.from(body, 'utf8').toString('latin1');
  const found: Overrides = {};
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(' ', at);
    const length = Number(bytes.slice(at, space));
    if (space === -1 || !Number.isInteger(length) || length <= 0) throw broken('a pax record is damaged');
    const record = globalThis.Buffer.from(bytes.slice(space + 1, at + length - 1), 'latin1').toString('utf8');
    const equals = record.indexOf('=');
    const key = record.slice(0, equals);
    const value = record.slice(equals + 1);
    if (key === 'path') found.path = value;
    if (key === 'linkpath') found.link = value;
    if (key === 'size') found.sizeBytes = Number(value);
    at += length;
  }
  return found;
}

function withoutNul(value: string): string {
  const end = value.indexOf('\0');
  return end === -1 ? value : value.slice(0, end);
}

function broken(why: string): KilnError {
  return new KilnError('blob.damaged', `A layer is not a tar archive that can be read: ${why}.`, {
    next: 'Bake the image again.',
  });
}
