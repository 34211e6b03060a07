/**
 * Writes out a folder as a commit holds it, straight from git's objects: neither filters nor attributes of the
 * repository have a say, so nothing of it is run.
 */
import { execFile, spawn } from 'node:child_process';
import { access, mkdir, open, symlink } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { KilnError } from '../domain/errors.ts';
import { GIT_ENVIRONMENT, gitArguments } from './git-command.ts';

const run = promisify(execFile);
const LIST_LIMIT_BYTES = 256 * 1024 * 1024;
const REGULAR = '100644';
const EXECUTABLE = '100755';
const LINK = '120000';

interface TreeFile {
  readonly mode: string;
  readonly object: string;
  /** Relative to the folder. */
  readonly name: string;
}

/**
 * @param directory the folder, which need not be there any more as long as its repository is
 * @returns false: there is no repository, or it does not hold the commit, or not the folder in it
 */
export async function exportCommit(
  directory: string,
  commit: string,
  destination: string,
  signal: AbortSignal,
): Promise<boolean> {
  const root = await rootOf(directory, signal);
  if (root === undefined) return false;
  const files = await filesIn(root, commit, path.relative(root, directory), signal);
  if (files === undefined || files.length === 0) return false;
  await mkdir(destination, { recursive: true, mode: 0o700 });
  await writeFiles(root, files, destination, signal);
  return true;
}

async function rootOf(directory: string, signal: AbortSignal): Promise<string | undefined> {
  const standing = await nearestStanding(directory);
  const top = await said(standing, ['rev-parse', '--show-toplevel'], signal);
  return top?.replace(/\n$/, '');
}

async function nearestStanding(directory: string): Promise<string> {
  for (let folder = directory; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    try {
      await access(folder);
      return folder;
    } catch {
      // Gone; perhaps the one above is there.
    }
  }
  return '/';
}

async function filesIn(
  root: string,
  commit: string,
  folder: string,
  signal: AbortSignal,
): Promise<readonly TreeFile[] | undefined> {
  const place = folder === '' ? [] : ['--', `:(literal,top)${folder}/`];
  const listed = await said(root, ['ls-tree', '-r', '-z', '--full-tree', commit, ...place], signal);
  return listed
    ?.split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const [facts = '', name = ''] = [line.slice(0, line.indexOf('\t')), line.slice(line.indexOf('\t') + 1)];
      const [mode = '', , object = ''] = facts.split(' ');
      return { mode, object, name: path.relative(folder, name) };
    });
}

/** Undefined: git could not say; each thing asked for here may well be missing. */
async function said(
  directory: string,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const options = { signal, maxBuffer: LIST_LIMIT_BYTES, env: GIT_ENVIRONMENT };
    return (await run('git', gitArguments(directory, argv), options)).stdout;
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function writeFiles(
  root: string,
  files: readonly TreeFile[],
  destination: string,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn('git', gitArguments(root, ['cat-file', '--batch']), {
    signal,
    env: GIT_ENVIRONMENT,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  // Heard of below, where the contents are missing.
  ended.catch(() => undefined);
  child.stdin.on('error', () => undefined);
  child.stdin.end(files.map(({ object }) => `${object}\n`).join(''));
  // Read from the first moment on: what nobody reads by the time that git ends would be thrown away.
  const read = child.stdout.pipe(new PassThrough());
  const contents = new BatchReader(read[Symbol.asyncIterator]());
  try {
    for (const file of files) await writeOne(file, contents, destination);
  } finally {
    child.kill();
    await ended;
  }
}

async function writeOne(file: TreeFile, contents: BatchReader, destination: string): Promise<void> {
  const target = path.join(destination, file.name);
  if (!target.startsWith(`${destination}${path.sep}`)) throw unreadable(file);
  if (file.mode !== REGULAR && file.mode !== EXECUTABLE && file.mode !== LINK) {
    throw new KilnError('source.changed', `${file.name} is a submodule, which its commit does not hold.`, {
      next: 'Bake it from a folder in which it is checked out.',
    });
  }
  await mkdir(path.dirname(target), { recursive: true });
  const parts = contents.next(file);
  if (file.mode === LINK) {
    const text: Buffer[] = [];
    for await (const part of parts) text.push(part);
    await symlink(Buffer.concat(text).toString(), target);
    return;
  }
  const handle = await open(target, 'wx', file.mode === EXECUTABLE ? 0o755 : 0o644);
  try {
    for await (const part of parts) await handle.writeFile(part);
  } finally {
    await handle.close();
  }
}

/** What `git cat-file --batch` says: `OBJECT blob SIZE\n`, the bytes, `\n`, and so on. */
class BatchReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterator<Buffer>) {
    this.#chunks = chunks;
  }

  async *next(file: TreeFile): AsyncIterable<Buffer> {
    let end = this.#rest.indexOf('\n');
    for (; end < 0; end = this.#rest.indexOf('\n')) {
      this.#rest = Buffer.concat([this.#rest, await this.#more(file)]);
    }
    const [object, type, size] = this.#rest.subarray(0, end).toString().split(' ');
    if (object !== file.object || type !== 'blob') throw unreadable(file);
    this.#rest = this.#rest.subarray(end + 1);
    for (let left = Number(size); left > 0; ) {
      if (this.#rest.length === 0) this.#rest = await this.#more(file);
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
    if (this.#rest.length === 0) this.#rest = await this.#more(file);
    this.#rest = this.#rest.subarray(1);
  }

  async #more(file: TreeFile): Promise<Buffer> {
    const { value, done } = await this.#chunks.next();
    if (done === true || value === undefined) throw unreadable(file);
    return value;
  }
}

function unreadable(file: TreeFile): KilnError {
  return new KilnError('source.changed', `git does not give the contents of ${file.name}.`, {
    next: 'Check the repository: git fsck',
  });
}
