/**
 * Gives a build the files of its folders: all are named first, in order, then each that the engine asks for is sent
 * (github.com/tonistiigi/fsutil, send.go and types/). A file whose content is not what was promised ends the build.
 */
import { KilnError } from '../../domain/errors.ts';
import type { Call, Methods } from './calls.ts';
import { bytesField, fields, numberField } from './protobuf.ts';

export interface SyncedEntry {
  readonly kind: 'file' | 'directory' | 'symlink';
  /** Relative, `/` between segments. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Target of a symlink, otherwise empty. */
  readonly link: string;
  /** Of a file. */
  read(signal: AbortSignal): AsyncIterable<Buffer>;
}

/** By the names that BuildKit's Dockerfile frontend asks for: `context` and `dockerfile`. */
export type SyncedFolders = Readonly<Record<string, readonly SyncedEntry[]>>;

const PACKET = { stat: 0, request: 1, data: 2, end: 3, error: 4 } as const;
const FIELD = { kind: 1, stat: 2, id: 3, data: 4 } as const;
const STAT = { path: 1, mode: 2, size: 5, link: 7 } as const;
/** Go's `fs.FileMode`. */
const MODE_BITS = { file: 0, directory: 2 ** 31, symlink: 2 ** 27 } as const;
/** Rules that the frontend would read for itself; what a folder holds is chosen already. */
const IGNORE_FILE = /(?:^|\.)dockerignore$/;

export function fileSync(folders: SyncedFolders): Methods {
  return {
    '/moby.filesync.v1.FileSync/DiffCopy': async (call) => {
      const name = String(call.headers['dir-name']);
      const folder = folders[name];
      if (folder === undefined) throw new KilnError('not-found', `The build has no folder ${name}.`);
      await sendFolder(call, wantsOnlyRules(call) ? [] : inWireOrder(folder));
    },
  };
}

function wantsOnlyRules({ headers }: Call): boolean {
  const wanted = [headers.followpaths ?? []].flat().flatMap((paths) => paths.split(', '));
  return wanted.length > 0 && wanted.every((path) => IGNORE_FILE.test(path));
}

/** A folder before what lies in it, and that before its next sibling; folders that nobody named come with their files. */
function inWireOrder(entries: readonly SyncedEntry[]): readonly SyncedEntry[] {
  const all = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path } of entries) {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      const folder = path.slice(0, slash);
      if (!all.has(folder)) all.set(folder, parentFolder(folder));
    }
  }
  // NUL sorts before everything and is in no name.
  const keyed = [...all.values()].map((entry) => ({
    entry,
    key: Buffer.from(entry.path.replaceAll('/', '\0')),
  }));
  return keyed.sort((a, b) => a.key.compare(b.key)).map(({ entry }) => entry);
}

async function sendFolder(call: Call, entries: readonly SyncedEntry[]): Promise<void> {
  for (const entry of entries) {
    await call.send(
      Buffer.concat([numberField(FIELD.kind, PACKET.stat), bytesField(FIELD.stat, statOf(entry))]),
    );
  }
  await call.send(numberField(FIELD.kind, PACKET.stat));
  for await (const packet of call.messages) {
    const { kind, id, data } = readPacket(packet);
    if (kind === PACKET.request) await sendFile(call, id, entries[id]);
    else if (kind === PACKET.error)
      throw new KilnError('target.rejected', `The Docker engine could not take the files: ${data}`);
    else if (kind === PACKET.end) {
      await call.send(numberField(FIELD.kind, PACKET.end));
      return;
    }
  }
}

async function sendFile(call: Call, id: number, entry: SyncedEntry | undefined): Promise<void> {
  if (entry?.kind !== 'file')
    throw new KilnError('target.rejected', 'The Docker engine asked for a file that there is none of.');
  const head = Buffer.concat([numberField(FIELD.kind, PACKET.data), numberField(FIELD.id, id)]);
  try {
    for await (const chunk of entry.read(call.signal)) {
      if (chunk.length > 0) await call.send(Buffer.concat([head, bytesField(FIELD.data, chunk)]));
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    await call.send(Buffer.concat([numberField(FIELD.kind, PACKET.error), bytesField(FIELD.data, why)]));
    throw error;
  }
  await call.send(head); // Without data: this was all of it.
}

function readPacket(packet: Buffer): { readonly kind: number; readonly id: number; readonly data: string } {
  let [kind, id, data]: [number, number, string] = [PACKET.stat, 0, ''];
  for (const { number, value } of fields(packet)) {
    if (number === FIELD.kind && typeof value === 'number') kind = value;
    else if (number === FIELD.id && typeof value === 'number') id = value;
    else if (number === FIELD.data && typeof value !== 'number') data = value.toString();
  }
  return { kind, id, data };
}

/** Owner, group and time are left at 0: an equal tree makes an equal image. */
function statOf({ kind, path, mode, sizeBytes, link }: SyncedEntry): Buffer {
  return Buffer.concat([
    bytesField(STAT.path, path),
    numberField(STAT.mode, MODE_BITS[kind] + mode),
    ...(kind === 'file' ? [numberField(STAT.size, sizeBytes)] : []),
    ...(kind === 'symlink' ? [bytesField(STAT.link, link)] : []),
  ]);
}

function parentFolder(path: string): SyncedEntry {
  return { kind: 'directory', path, mode: 0o755, sizeBytes: 0, link: '', async *read() {} };
}
