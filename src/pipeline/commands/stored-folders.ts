/**
 * Folders kept as tar files: caches by key, artifacts by digest. A file is written beside its place and then moved there
 * in one step, so that commands which run at once read a whole one, the old or the new; what is read meanwhile stays
 * readable until it is closed.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { namesIn } from '../../files/names-in.ts';
import { isMissing } from '../../files/system-error.ts';

const DRAFTS = 'drafts';

export interface Stored {
  readonly digest: string;
  readonly sizeBytes: number;
}

export class StoredFolders {
  readonly #folder: string;
  readonly #newId: () => string;

  constructor(folder: string, newId: () => string) {
    this.#folder = folder;
    this.#newId = newId;
  }

  /** Drafts of a server that has died. */
  async sweep(): Promise<void> {
    await rm(path.join(this.#folder, DRAFTS), { recursive: true, force: true });
  }

  /** A descriptor to read from, for as long as the work lasts; undefined: there is none of this name. */
  async read<Result>(
    name: string,
    work: (descriptor: number) => Promise<Result>,
  ): Promise<Result | undefined> {
    const file = this.#file(name);
    const handle = await open(file, 'r').catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (handle === undefined) return undefined;
    try {
      const now = new Date();
      // The time of last use is what decides which goes first.
      await utimes(file, now, now).catch(() => undefined);
      return await work(handle.fd);
    } finally {
      await handle.close();
    }
  }

  async has(name: string): Promise<boolean> {
    return (await namesIn(this.#folder)).includes(`${name}.tar`);
  }

  /** What `fill` writes, under the name that `nameOf` gives it; undefined: it is larger than it may be, and not kept. */
  async write(
    fill: (descriptor: number) => Promise<void>,
    { nameOf, limitBytes }: { readonly nameOf: (stored: Stored) => string; readonly limitBytes: number },
  ): Promise<Stored | undefined> {
    const drafts = path.join(this.#folder, DRAFTS);
    await mkdir(drafts, { recursive: true, mode: 0o700 });
    const draft = path.join(drafts, this.#newId());
    try {
      const handle = await open(draft, 'wx', 0o600);
      try {
        await fill(handle.fd);
        await handle.sync();
      } finally {
        await handle.close();
      }
      const { size: sizeBytes } = await stat(draft);
      if (sizeBytes > limitBytes) return undefined;
      const stored = { digest: await digestOf(draft), sizeBytes };
      await rename(draft, this.#file(nameOf(stored)));
      return stored;
    } finally {
      await rm(draft, { force: true });
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.#file(name), { force: true });
  }

  /** The least recently used go until the others are small enough together; those older than `maxAgeMs` in any case. */
  async trim(totalBytes: number, maxAgeMs: number, nowMs: number): Promise<void> {
    const files: { file: string; sizeBytes: number; usedMs: number }[] = [];
    for (const name of await namesIn(this.#folder)) {
      if (!name.endsWith('.tar')) continue;
      const file = path.join(this.#folder, name);
      const found = await stat(file).catch(() => undefined); // Another one that trims was faster.
      if (found !== undefined) files.push({ file, sizeBytes: found.size, usedMs: found.mtimeMs });
    }
    let left = totalBytes;
    for (const { file, sizeBytes, usedMs } of files.toSorted((one, other) => other.usedMs - one.usedMs)) {
      left -= sizeBytes;
      if (left < 0 || nowMs - usedMs > maxAgeMs) await rm(file, { force: true });
    }
  }

  #file(name: string): string {
    if (!/^[\w-]+$/.test(name))
      throw new KilnError('path.escapes', `"${name}" is no name of a stored folder.`);
    return path.join(this.#folder, `${name}.tar`);
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** Digest of files in the source by their contents, for the key of a cache; a file that is not there is part of it too. */
export async function contentsKey(app: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of files) {
    const file = path.join(app, name);
    const text = await digestOf(file).catch((error: unknown) => {
      if (isMissing(error)) return 'none';
      throw error;
    });
    hash.update(`${name}\0${text}\0`);
  }
  return hash.digest('hex');
}

export async function existing(root: string, members: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    members.map((member) =>
      stat(path.join(root, member)).then(
        () => true,
        (error: unknown) => {
          if (isMissing(error)) return false;
          throw error;
        },
      ),
    ),
  );
  return members.filter((_, at) => found[at]);
}
