import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { isMissing, isSystemError } from '../files/system-error.ts';
import type { TargetParts } from './target-parts.ts';
import { whileWanted } from './turns.ts';

/** An image that nobody uses is kept this long after it was last asked for: a rollback may want it. */
const KEEP_UNUSED_MS = 60 * 60 * 1000;
const PARTIAL = '.partial-';

/** Where a target keeps them. */
export interface ImagesLayout {
  readonly images: string;
  image(digest: Digest): string;
}

/** Each image is unpacked once, under another name until it is whole, and shared by all its instances. */
export class UnpackedImages {
  readonly #layout: ImagesLayout;
  readonly #unpack: TargetParts['unpack'];
  readonly #underWay = new Map<Digest, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(layout: ImagesLayout, unpack: TargetParts['unpack']) {
    this.#layout = layout;
    this.#unpack = unpack;
  }

  /** Clears away what a server that died while unpacking left. */
  async open(): Promise<void> {
    await mkdir(this.#layout.images, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#layout.images)) {
      if (name.includes(PARTIAL)) await removeTree(path.join(this.#layout.images, name));
    }
  }

  /** Several callers of one image share the work, which goes on while any server wants it. */
  async prepare(digest: Digest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const directory = this.#layout.image(digest);
    if (await exists(directory)) {
      const now = new Date();
      await utimes(directory, now, now); // When it was last asked for.
      return;
    }
    let work = this.#underWay.get(digest);
    if (work === undefined) {
      work = this.#make(digest, directory).finally(() => this.#underWay.delete(digest));
      work.catch(() => undefined); // Whoever still waits is told.
      this.#underWay.set(digest, work);
    }
    await whileWanted(work, signal);
  }

  async removeUnused(inUse: ReadonlySet<Digest>, nowMs: number): Promise<void> {
    const kept = new Set([...inUse].map((digest) => path.basename(this.#layout.image(digest))));
    for (const name of await readdir(this.#layout.images)) {
      const directory = path.join(this.#layout.images, name);
      if (kept.has(name) || name.includes(PARTIAL)) continue;
      if (nowMs - (await stat(directory)).mtimeMs > KEEP_UNUSED_MS) await removeTree(directory);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The target is being closed.'));
    await Promise.allSettled(this.#underWay.values());
  }

  async #make(digest: Digest, directory: string): Promise<void> {
    const partial = `${directory}${PARTIAL}${randomBytes(4).toString('hex')}`;
    try {
      await mkdir(partial, { recursive: true, mode: 0o755 });
      await this.#unpack(digest, partial, this.#closing.signal);
      await rename(partial, directory);
    } catch (error) {
      await removeTree(partial);
      throw asKilnError(error);
    }
  }
}

/**
 * A place inside an image for something to be mounted on: empty, and the same for all groups of the image.
 * Synchronous, so that two groups of one image never find it half made. Fails with `path.escapes` rather than
 * follow a link of the image.
 */
export function makeMountPoint(image: string, relative: string, kind: 'directory' | 'file'): void {
  const parts = relative.split('/').filter((part) => part !== '' && part !== '.');
  let at = image;
  for (const [index, part] of parts.entries()) {
    const parent = at;
    const isFile = kind === 'file' && index === parts.length - 1;
    at = path.join(parent, part);
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found === undefined) {
      makeInside(parent, at, isFile);
      continue;
    }
    if (isFile ? !found.isFile() : !found.isDirectory()) {
      throw new KilnError('path.escapes', `${relative} cannot be put in its place: ${part} is in the way.`, {
        next: `Choose another path, or leave ${part} out of the image.`,
      });
    }
  }
}

/** Folders of an image are read-only to their owner too, but for this moment. */
function makeInside(parent: string, place: string, isFile: boolean): void {
  const { mode } = statSync(parent);
  chmodSync(parent, mode | 0o200);
  try {
    if (isFile) writeFileSync(place, '', { mode: 0o644 });
    else mkdirSync(place, { mode: 0o755 });
  } finally {
    chmodSync(parent, mode);
  }
}

/** Removes a tree though directories in it are read-only. */
export async function removeTree(directory: string): Promise<void> {
  try {
    await rm(directory, { recursive: true, force: true });
  } catch (error) {
    if (!isSystemError(error, 'EACCES') && !isSystemError(error, 'EPERM')) throw error;
    await makeWritable(directory);
    await rm(directory, { recursive: true, force: true });
  }
}

/** What has failed to be removed is still being removed meanwhile: Node's own removal does not wait for all its parts. */
async function makeWritable(directory: string): Promise<void> {
  try {
    await chmod(directory, 0o700);
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) await makeWritable(path.join(directory, entry.name));
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

async function exists(file: string): Promise<boolean> {
  return (await lstatIfThere(file)) !== undefined;
}

async function lstatIfThere(file: string) {
  try {
    return await lstat(file);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
