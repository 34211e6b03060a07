/**
 * Artifacts in a bucket, `PREFIX/sha256/DIGEST` each: whatever server runs a command finds them. They pass through a
 * draft on this machine, so that nobody sees bytes which have not been compared with their digest. How long they stay
 * is for the bucket's own rules to say.
 */
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { S3 } from '../../amazon/s3.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ArtifactStore, KeptArtifact } from '../../domain/ports/artifacts.ts';
import { assertDigest, descriptorDigest } from './file-digest.ts';

export interface S3ArtifactsParts {
  readonly s3: Pick<S3, 'get' | 'put'>;
  readonly bucket: string;
  /** Before the key, without a slash at its end; it may be empty. */
  readonly prefix: string;
  /** For drafts. */
  readonly folder: string;
  readonly newId: () => string;
}

/** The largest that S3 takes at once. */
const LARGEST_BYTES = 5 * 1024 ** 3;

export class S3Artifacts implements ArtifactStore {
  readonly #parts: S3ArtifactsParts;

  constructor(parts: S3ArtifactsParts) {
    this.#parts = parts;
  }

  async sweep(): Promise<void> {
    await rm(this.#parts.folder, { recursive: true, force: true });
  }

  write(
    fill: (descriptor: number) => Promise<void>,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<KeptArtifact | undefined> {
    const { s3, bucket } = this.#parts;
    return this.#withDraft(async (draft) => {
      await opened(draft, 'wx', fill);
      const { size: sizeBytes } = await stat(draft);
      if (sizeBytes > Math.min(limitBytes, LARGEST_BYTES)) return undefined;
      const digest = await opened(draft, 'r', (descriptor) => descriptorDigest(descriptor, signal));
      const sha256 = digest.replace('sha256:', '');
      await s3.put(bucket, this.#key(digest), await openAsBlob(draft), sha256, signal);
      return { digest, sizeBytes };
    });
  }

  read<Result>(
    digest: string,
    work: (descriptor: number) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    const key = this.#key(digest);
    return this.#withDraft(async (draft) => {
      const found = await this.#fetched(draft, key, signal).catch((thrown: unknown) => {
        if (thrown instanceof KilnError && thrown.code === 'not-found') return undefined;
        throw thrown;
      });
      if (found === undefined) return undefined;
      assertDigest(found, digest);
      return opened(draft, 'r', work);
    });
  }

  /** The bucket's own rules do. */
  async trim(): Promise<void> {}

  async #fetched(draft: string, key: string, signal: AbortSignal): Promise<string> {
    const { s3, bucket } = this.#parts;
    const hash = createHash('sha256');
    const handle = await open(draft, 'wx', 0o600);
    try {
      for await (const piece of s3.get(bucket, key, LARGEST_BYTES, signal)) {
        hash.update(piece);
        await handle.writeFile(piece);
      }
    } finally {
      await handle.close();
    }
    return `sha256:${hash.digest('hex')}`;
  }

  async #withDraft<Result>(work: (draft: string) => Promise<Result>): Promise<Result> {
    const { folder, newId } = this.#parts;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = path.join(folder, newId());
    try {
      return await work(draft);
    } finally {
      await rm(draft, { force: true });
    }
  }

  #key(digest: string): string {
    const [, hex] = /^sha256:([0-9a-f]{64})$/.exec(digest) ?? [];
    if (hex === undefined) throw new KilnError('input.invalid', `"${digest}" is no digest.`);
    const { prefix } = this.#parts;
    return `${prefix === '' ? '' : `${prefix}/`}sha256/${hex}`;
  }
}

async function opened<Result>(
  file: string,
  how: 'r' | 'wx',
  work: (descriptor: number) => Promise<Result>,
): Promise<Result> {
  const handle = await open(file, how, 0o600);
  try {
    return await work(handle.fd);
  } finally {
    await handle.close();
  }
}
