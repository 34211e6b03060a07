import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  BLOCK_BYTES,
  headerBytes,
  paddedBytes,
  type TarEntry,
  TRAILER_BYTES,
  tarHeader,
} from './tar-header.ts';
import { tarEntries } from './tar-reader.ts';

interface Content extends TarEntry {
  readonly text: string;
}

function archiveOf(entries: readonly Content[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const body = Buffer.alloc(paddedBytes(entry.sizeBytes));
    body.write(entry.text);
    return [tarHeader(entry), body];
  });
  return Buffer.concat([...parts, Buffer.alloc(TRAILER_BYTES)]);
}

function read(archive: Buffer): Content[] {
  const readAt = (offset: number, length: number): Buffer => archive.subarray(offset, offset + length);
  return [...tarEntries(readAt, archive.length)].map(({ offsetBytes, ...entry }) => ({
    ...entry,
    text: archive.toString('utf8', offsetBytes, offsetBytes + entry.sizeBytes),
  }));
}

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
  .map((text) => text.replace(/[/\0]/g, '_'))
  .filter((text) => text.isWellFormed() && text !== '.' && text !== '..' && Buffer.byteLength(text) <= 200);
const paths = fc.array(name, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/'));

const content: fc.Arbitrary<Content> = fc.oneof(
  fc.record({ path: paths, text: fc.string({ maxLength: 2000 }), mode: fc.constantFrom(0o644, 0o755) }).map(
    ({ path: file, text, mode }): Content => ({
      kind: 'file',
      path: file,
      mode,
      text,
      sizeBytes: Buffer.byteLength(text),
      link: '',
    }),
  ),
  fc.record({ path: paths, link: paths }).map(
    ({ path: file, link }): Content => ({
      kind: 'symlink',
      path: file,
      mode: 0o777,
      sizeBytes: 0,
      link,
      text: '',
    }),
  ),
  paths.map(
    (file): Content => ({ kind: 'directory', path: file, mode: 0o755, sizeBytes: 0, link: '', text: '' }),
  ),
);

describe('tar', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kiln-tar-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('reads back whatever it writes', () => {
    fc.assert(
      fc.property(fc.array(content, { maxLength: 8 }), (entries) => {
        expect(read(archiveOf(entries))).toEqual(entries);
      }),
    );
  });

  it('knows the size of a header without making it', () => {
    fc.assert(fc.property(content, (entry) => headerBytes(entry) === tarHeader(entry).length));
  });

  it('is read by the system tar in the same way', () => {
    const entries: Content[] = [
      ['plain.txt', 'a'],
      [`${'d'.repeat(90)}/${'e'.repeat(60)}/ustar-prefix.txt`, 'b'],
      [`${'long-name-'.repeat(15)}.txt`, 'c'],
      [`${'deep/'.repeat(50)}end.txt`, 'd'],
      ['näme-😀/ünï.txt', 'e'],
      ["with 'quotes' and \\ and\nnewline", 'f'],
    ].map(([file = '', text = '']) => ({
      kind: 'file',
      path: file,
      mode: 0o644,
      text,
      sizeBytes: text.length,
      link: '',
    }));
    const target = `${'very/'.repeat(30)}far`;
    const link: Content = {
      kind: 'symlink',
      path: 'link',
      mode: 0o777,
      sizeBytes: 0,
      link: target,
      text: '',
    };
    const archive = path.join(folder, 'archive.tar');
    writeFileSync(archive, archiveOf([...entries, link]));
    const out = mkdtempSync(path.join(folder, 'out-'));
    execFileSync('tar', ['-xf', archive, '-C', out]);
    for (const entry of entries) expect(readFileSync(path.join(out, entry.path), 'utf8')).toBe(entry.text);
    expect(readlinkSync(path.join(out, 'link'))).toBe(target);
  });

  it('reads what the system tar writes, in both of its formats', () => {
    const tree = mkdtempSync(path.join(folder, 'tree-'));
    const long = `${'n'.repeat(180)}.txt`;
    writeFileSync(path.join(tree, long), 'content');
    for (const format of ['gnu', 'pax']) {
      const archive = path.join(folder, `${format}.tar`);
      execFileSync('tar', [`--format=${format}`, '-cf', archive, '-C', tree, long]);
      expect(read(readFileSync(archive))).toMatchObject([{ path: long, text: 'content', kind: 'file' }]);
    }
  });

  it('writes sizes from 8 GiB as other readers expect them', () => {
    const sizeBytes = 9 * 1024 ** 3;
    const header = tarHeader({ kind: 'file', path: 'huge', mode: 0o644, sizeBytes, link: '' });
    const readAt = (offset: number, length: number): Buffer => header.subarray(offset, offset + length);
    const [entry] = [...tarEntries(readAt, header.length + sizeBytes)].slice(0, 1);
    expect(entry).toMatchObject({ path: 'huge', sizeBytes, offsetBytes: header.length });
    expect(header.length % BLOCK_BYTES).toBe(0);
  });

  it('refuses what is damaged', () => {
    const archive = archiveOf([{ kind: 'file', path: 'a', mode: 0o644, sizeBytes: 1, link: '', text: 'x' }]);
    archive[5] = 7;
    expect(() => read(archive)).toThrow(/checksum/);
    const cut = archiveOf([
      { kind: 'file', path: 'a', mode: 0o644, sizeBytes: 3000, link: '', text: 'x'.repeat(3000) },
    ]).subarray(0, 1024);
    expect(() => read(cut)).toThrow(/beyond the end/);
  });
});
