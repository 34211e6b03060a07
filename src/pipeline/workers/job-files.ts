/**
 * What travels with one job: to its worker the source that only this machine has and the artifacts that it unpacks,
 * back the artifacts that it leaves. Nothing else is given out or taken. Pieces may be asked for, and sent, again:
 * that is how both go on when the network was away.
 */

import { createReadStream } from 'node:fs';
import { constants, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { ArtifactStore, KeptArtifact } from '../../domain/ports/artifacts.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { assertDigest, writeDigested, writeWhole } from '../artifacts/file-digest.ts';
import { LocalArtifacts } from '../artifacts/local-artifacts.ts';
import { noArtifact } from '../artifacts/no-artifact.ts';
import { packFolder } from '../artifacts/packed-files.ts';
import { ARTIFACT_BYTES, type CommandWish } from '../commands/command-wish.ts';
import { type CommandSources, copiedFolder } from '../commands/source.ts';

const SOURCE_BYTES = 10 * 1024 ** 3;

export interface JobFilesParts {
  readonly artifacts: ArtifactStore;
  readonly sources: CommandSources;
  readonly clock: Pick<Clock, 'now'>;
  readonly searchPath: string;
  readonly newId: () => string;
  /** For what is on its way; each job has a folder in it while it runs. */
  readonly folder: string;
}

export interface ArrivingPiece {
  readonly digest: string;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class JobFiles {
  readonly #parts: JobFilesParts;
  readonly #wish: CommandWish;
  readonly #signal: AbortSignal;
  readonly #folder: string;
  readonly #packed: ArtifactStore;
  #source: Promise<KeptArtifact> | undefined;
  /** Of what has begun to arrive. */
  readonly #arriving = new Set<string>();
  readonly #kept = new Map<string, KeptArtifact>();

  constructor(parts: JobFilesParts, wish: CommandWish, signal: AbortSignal) {
    this.#parts = parts;
    this.#wish = wish;
    this.#signal = signal;
    this.#folder = path.join(parts.folder, parts.newId());
    this.#packed = new LocalArtifacts(path.join(this.#folder, 'source'), parts.newId);
  }

  /** What has an address, a worker reaches by itself. */
  get sourceTravels(): boolean {
    const { source } = this.#wish;
    return source !== undefined && (path.isAbsolute(source) || source.startsWith('file:'));
  }

  /** Packed once, however often it is asked for. */
  source(): Promise<KeptArtifact> {
    if (!this.sourceTravels)
      throw new KilnError('not-found', 'The job has no source that only this server has.');
    this.#source ??= this.#pack();
    return this.#source;
  }

  /** From this byte on. Fails with `not-found` for what is not of the job, or not there any more. */
  async read(digest: string, offset: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const either = AbortSignal.any([this.#signal, signal]);
    if ((await this.#source)?.digest === digest) return bytesOf(this.#packed, digest, offset, either);
    if (Object.values(this.#wish.inputs).includes(digest))
      return bytesOf(this.#parts.artifacts, digest, offset, either);
    throw new KilnError('not-found', `The job does not name ${digest}.`);
  }

  /** At its place, over what is there of an earlier attempt. */
  async write({ digest, offset, bytes }: ArrivingPiece): Promise<void> {
    const isFull = this.#arriving.size >= Object.keys(this.#wish.artifacts).length;
    if (isFull && !this.#arriving.has(digest))
      throw new KilnError('input.invalid', 'The job leaves fewer artifacts than its worker sends.');
    if (offset + bytes.length > ARTIFACT_BYTES)
      throw new KilnError('input.too-large', `The artifact is larger than ${ARTIFACT_BYTES} bytes.`);
    this.#arriving.add(digest);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const handle = await open(this.#draft(digest), constants.O_CREAT | constants.O_WRONLY, 0o600);
    try {
      await writeWhole(handle.fd, bytes, offset);
    } finally {
      await handle.close();
    }
  }

  /** Once all of it is there. Fails with `blob.damaged` for other bytes than those of the digest. */
  async keep({ digest, sizeBytes }: KeptArtifact): Promise<void> {
    if (this.#kept.has(digest)) return;
    if (!this.#arriving.has(digest))
      throw new KilnError('not-found', `Nothing of ${digest} has been sent for this job.`);
    const { artifacts, clock } = this.#parts;
    const draft = this.#draft(digest);
    const fill = async (descriptor: number) => {
      // Behind its end may be what an earlier attempt has left.
      const bytes = createReadStream(draft, { start: 0, end: sizeBytes - 1 });
      assertDigest(await writeDigested(bytes, descriptor, this.#signal), digest);
    };
    const kept = await artifacts.write(fill, ARTIFACT_BYTES, this.#signal);
    if (kept === undefined) throw new KilnError('input.too-large', 'The artifact is larger than is kept.');
    this.#kept.set(digest, kept);
    await rm(draft, { force: true });
    await artifacts.trim(clock.now());
  }

  /** Fails with `input.invalid` for a result that names artifacts which this job has not left. */
  assertKept(named: Readonly<Record<string, KeptArtifact>>): void {
    for (const [name, { digest }] of Object.entries(named)) {
      if (Object.hasOwn(this.#wish.artifacts, name) && this.#kept.has(digest)) continue;
      throw new KilnError('input.invalid', `The artifact ${name} was not sent for this job.`);
    }
  }

  async remove(): Promise<void> {
    await this.#source?.catch(() => undefined); // Told to whoever asked for it.
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #pack(): Promise<KeptArtifact> {
    const { sources, searchPath } = this.#parts;
    const checkout = path.join(this.#folder, 'checkout');
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      const copied = await copiedFolder(this.#wish);
      if (copied === undefined) await sources.bring(this.#wish, checkout, this.#signal);
      const fill = (descriptor: number) =>
        packFolder(copied ?? checkout, descriptor, searchPath, this.#signal);
      const packed = await this.#packed.write(fill, SOURCE_BYTES, this.#signal);
      if (packed !== undefined) return packed;
      throw new KilnError('input.too-large', `The source is larger than ${SOURCE_BYTES} bytes.`);
    } catch (thrown) {
      this.#signal.throwIfAborted();
      if (thrown instanceof KilnError) throw thrown;
      const { message } = asKilnError(thrown);
      throw new KilnError('checkout.failed', message, { cause: thrown });
    } finally {
      await rm(checkout, { recursive: true, force: true });
    }
  }

  #draft(digest: string): string {
    return path.join(this.#folder, `${digest.replace(':', '-')}.part`);
  }
}

/** The store holds the artifact open until the last byte is read, or the signal comes. */
async function bytesOf(
  store: ArtifactStore,
  digest: string,
  offset: number,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const opened = Promise.withResolvers<AsyncIterable<Uint8Array>>();
  const isRead = Promise.withResolvers<void>();
  const stop = () => isRead.resolve();
  signal.addEventListener('abort', stop, { once: true });
  const bytes = async function* (fd: number) {
    try {
      yield* createReadStream('', { fd, start: offset, autoClose: false, signal });
    } finally {
      stop();
    }
  };
  const reading = store.read(
    digest,
    (descriptor) => {
      opened.resolve(bytes(descriptor));
      return isRead.promise.then(() => true);
    },
    signal,
  );
  const missing = new KilnError('not-found', noArtifact(digest));
  reading
    .then((found) => {
      if (found === undefined) opened.reject(missing);
    }, opened.reject)
    .finally(() => signal.removeEventListener('abort', stop));
  return opened.promise;
}
