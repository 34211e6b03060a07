/** The files of a component as a build sees them: chosen by `.dockerignore`, read once to be known, and sent as a tar archive. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { readIfThere } from '../../files/durable-file.ts';
import { sha256 } from '../blobs.ts';
import { paddedBytes, type TarEntry, TRAILER_BYTES, tarHeader } from '../tar/tar-header.ts';
import { ignoreRules } from './ignore-rules.ts';

const IGNORE_FILE = '.dockerignore';
/** Ours, beside the author's files; the engine leaves it out of the context. */
export const OWN_DOCKERFILE = '.kiln.Dockerfile';
const EXECUTABLE = 0o100;
const CHUNK_BYTES = 256 * 1024;

export interface ContextEntry extends TarEntry {
  /** Of its content; empty for all but files. */
  readonly hash: string;
}

export interface BuildContext {
  readonly directory: string;
  readonly entries: readonly ContextEntry[];
  /** The author's own rules; empty where there are none. */
  readonly ignore: string;
  readonly digest: Digest;
}

/** Owners and times are left out, and of modes all but what makes a program: an equal tree is an equal context. */
export async function readContext(directory: string, signal: AbortSignal): Promise<BuildContext> {
  const ignore = (await readIfThere(path.join(directory, IGNORE_FILE))) ?? '';
  const rules = ignoreRules(ignore);
  const entries: ContextEntry[] = [];
  const visit = async (folder: string): Promise<void> => {
    signal.throwIfAborted();
    const names = (await readdir(path.join(directory, folder))).sort();
    for (const name of names) {
      const relative = folder === '' ? name : `${folder}/${name}`;
      const ignored = rules.ignores(relative);
      const entry = await readEntry(directory, relative, ignored, signal);
      if (entry === undefined) continue;
      if (!ignored) entries.push(entry);
      if (entry.kind === 'directory' && (!ignored || rules.hasExceptions)) await visit(relative);
    }
  };
  await visit('');
  const described = entries.map(({ kind, path: place, mode, link, hash }) => [kind, place, mode, link, hash]);
  return { directory, entries, ignore, digest: sha256(JSON.stringify(described)) };
}

/** With the Dockerfile in place of the author's own. Fails with `source.changed` when a file is not what it was. */
export function contextArchive(context: BuildContext, dockerfile: string, signal: AbortSignal): Readable {
  return Readable.from(archive(context, dockerfile, signal), { objectMode: false });
}

async function* archive(
  context: BuildContext,
  dockerfile: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const hidden = context.ignore === '' ? `${IGNORE_FILE}\n` : '';
  yield* ownFile(IGNORE_FILE, `${context.ignore}\n${hidden}${OWN_DOCKERFILE}\n`);
  yield* ownFile(OWN_DOCKERFILE, dockerfile);
  for (const entry of context.entries) {
    if (entry.path === IGNORE_FILE) continue;
    yield tarHeader(entry);
    if (entry.kind !== 'file') continue;
    yield* contextContent(context, entry, signal);
    yield padding(entry.sizeBytes);
  }
  yield Buffer.alloc(TRAILER_BYTES);
}

function* ownFile(name: string, text: string): Generator<Buffer> {
  const bytes = Buffer.from(text);
  yield tarHeader({ kind: 'file', path: name, mode: 0o644, sizeBytes: bytes.length, link: '' });
  yield bytes;
  yield padding(bytes.length);
}

/** A file's bytes as they were when the context was read. Fails with `source.changed` when they are not any more. */
export async function* contextContent(
  { directory }: BuildContext,
  entry: ContextEntry,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let size = 0;
  const file = path.join(directory, entry.path);
  for await (const chunk of createReadStream(file, { signal, highWaterMark: CHUNK_BYTES })) {
    size += chunk.length;
    if (size > entry.sizeBytes) throw changed(entry.path);
    hash.update(chunk);
    yield chunk;
  }
  if (size !== entry.sizeBytes || hash.digest('hex') !== entry.hash) throw changed(entry.path);
}

/** Undefined for sockets, pipes and devices, which no image can hold. */
async function readEntry(
  directory: string,
  relative: string,
  ignored: boolean,
  signal: AbortSignal,
): Promise<ContextEntry | undefined> {
  const file = path.join(directory, relative);
  const found = await lstat(file);
  const shared = { path: relative, sizeBytes: 0, link: '', hash: '' };
  if (found.isDirectory()) return { ...shared, kind: 'directory', mode: 0o755 };
  if (found.isSymbolicLink()) {
    return { ...shared, kind: 'symlink', mode: 0o777, link: await readlink(file) };
  }
  if (!found.isFile()) return undefined;
  const mode = (found.mode & EXECUTABLE) === 0 ? 0o644 : 0o755;
  if (ignored) return { ...shared, kind: 'file', mode };
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(file, { signal })) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { ...shared, kind: 'file', mode, sizeBytes, hash: hash.digest('hex') };
}

function padding(sizeBytes: number): Buffer {
  return Buffer.alloc(paddedBytes(sizeBytes) - sizeBytes);
}

function changed(file: string): KilnError {
  return new KilnError('source.changed', `${file} changed while it was baked.`, {
    next: 'Bake again when nothing writes to it.',
    retryable: true,
  });
}
