/**
 * Content-addressed blobs under `<directory>/sha256/xx/<hex>`. A blob appears under its name only when it is
 * whole and durable: it is written to a staging file, synced, renamed, and its folder is synced.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import { type Digest, digest as parseDigest } from '../domain/ids.ts';
import type { BlobStore } from '../domain/ports/blobs.ts';
import { isMissing } from '../files/system-error.ts';
import { BlobHolds } from './blob-holds.ts';

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const HEX = /^[0-9a-f]{64}$/;

export class FileBlobStore implements BlobStore {
  readonly holds = new BlobHolds();
  readonly #root: string;
  readonly #staging: string;
  readonly #stagingPrefix: string;

  /**
   * @param directory absolute; made when first written to
   * @param stagedBy names who writes here, for `sweepStagedBy`
   */
  constructor(directory: string, stagedBy = '') {
    this.#root = path.join(directory, 'sha256');
    this.#staging = path.join(directory, 'staging');
    this.#stagingPrefix = stagedBy === '' ? '' : `${stagedBy}-`;
  }

  async has(digest: Digest): Promise<boolean> {
    return (await this.#size(digest)) !== undefined;
  }

  async path(digest: Digest): Promise<string> {
    await this.sizeBytes(digest);
    return this.#file(digest);
  }

  async sizeBytes(digest: Digest): Promise<number> {
    const size = await this.#size(digest);
    if (size === undefined) throw missing(digest);
    return size;
  }

  async readText(digest: Digest): Promise<string> {
    await this.sizeBytes(digest);
    const bytes = await readFile(this.#file(digest));
    if (sha256(bytes) !== digest) throw damaged(digest);
    return bytes.toString('utf8');
  }

  async write(bytes: Uint8Array): Promise<Digest> {
    const digest = sha256(bytes);
    if (await this.has(digest)) return digest;
    const staged = await this.stage();
    try {
      const file = await open(staged, 'wx', FILE_MODE);
      try {
        await file.writeFile(bytes);
        await file.datasync();
      } finally {
        await file.close();
      }
      await this.adopt(staged, digest);
    } finally {
      await rm(staged, { force: true });
    }
    return digest;
  }

  /** A fresh path for somebody to write a blob to (mode 0600) and sync; `adopt` or remove it. */
  async stage(): Promise<string> {
    await mkdir(this.#staging, { recursive: true, mode: DIRECTORY_MODE });
    return path.join(this.#staging, `${this.#stagingPrefix}${randomBytes(12).toString('hex')}`);
  }

  /** Gives a staged file, already synced, its name. The caller has computed the digest from what it wrote. */
  async adopt(staged: string, digest: Digest): Promise<void> {
    const file = this.#file(digest);
    if (await this.has(digest)) {
      await rm(staged, { force: true });
      return;
    }
    const folder = path.dirname(file);
    const made = await mkdir(folder, { recursive: true, mode: DIRECTORY_MODE });
    await chmod(staged, FILE_MODE);
    await rename(staged, file);
    await syncDirectory(folder);
    if (made !== undefined) await syncDirectory(this.#root);
  }

  async verify(digest: Digest, signal: AbortSignal): Promise<void> {
    await this.sizeBytes(digest);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(this.#file(digest), { signal, highWaterMark: 1 << 20 })) {
      hash.update(chunk);
    }
    if (`sha256:${hash.digest('hex')}` !== digest) throw damaged(digest);
  }

  async delete(digest: Digest): Promise<void> {
    await rm(this.#file(digest), { force: true });
  }

  /** When the blob was last wanted, in Unix milliseconds; undefined when it is not there. */
  async lastUsedMs(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.#file(digest))).mtimeMs;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async touch(digest: Digest, nowMs: number): Promise<void> {
    await utimes(this.#file(digest), nowMs / 1000, nowMs / 1000);
  }

  async *list(): AsyncIterable<Digest> {
    for (const folder of await entries(this.#root)) {
      if (!folder.isDirectory()) continue;
      for (const file of await entries(path.join(this.#root, folder.name))) {
        if (HEX.test(file.name) && file.name.startsWith(folder.name))
          yield parseDigest(`sha256:${file.name}`);
      }
    }
  }

  /** Removes what a crash left half-written. Only when nobody writes: at server start. */
  async sweep(): Promise<void> {
    await rm(this.#staging, { recursive: true, force: true });
  }

  /** The same of one writer that has gone, while others go on. */
  async sweepStagedBy(writer: string): Promise<void> {
    for (const { name } of await entries(this.#staging)) {
      if (name.startsWith(`${writer}-`)) await rm(path.join(this.#staging, name), { force: true });
    }
  }

  async #size(digest: Digest): Promise<number | undefined> {
    try {
      const found = await stat(this.#file(digest));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Parsed anew, since a path is made of it: whatever is not a digest cannot name a file. */
  #file(digest: Digest): string {
    const hex = parseDigest(digest).slice('sha256:'.length);
    return path.join(this.#root, hex.slice(0, 2), hex);
  }
}

export function sha256(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

async function entries(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function syncDirectory(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function missing(digest: Digest): KilnError {
  return new KilnError('blob.missing', `The blob ${digest} is not on this server.`, {
    next: 'Bake the image again through this server: equal sources give the same digest. Of several servers each has what it baked or pulled; `kiln push` and `kiln pull` carry images between them.',
    details: { digest },
  });
}

function damaged(digest: Digest): KilnError {
  return new KilnError('blob.damaged', `The blob ${digest} does not hold what its name says.`, {
    next: 'Check the disk, remove the blob and bake the image again.',
    details: { digest },
  });
}
