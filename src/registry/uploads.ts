/**
 * Blobs on their way into a repository, as the OCI distribution specification v1.1 lays it down: mounted from another
 * one where that has them, sent at once, or in pieces that are gone on from.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { KilnError } from '../domain/errors.ts';
import type { Digest } from '../domain/ids.ts';
import { readAnswer } from './exchange.ts';
import { type Patience, patiently } from './patience.ts';
import { oneHeader, refused, type Session } from './session.ts';

/** What is larger is sent in pieces of this size, so that an interruption costs one piece at most. */
const PIECE_BYTES = 64 * 1024 * 1024;
/** A layer of this size is still sent at once: it is 64 MB of files with their headers. */
const WHOLE_LIMIT_BYTES = PIECE_BYTES + 1024 * 1024;
const ANSWER_LIMIT_BYTES = 1024 * 1024;
const BYTES = { 'content-type': 'application/octet-stream' } as const;

export interface BlobFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Absolute path of the bytes. */
  readonly file: string;
}

export type SentHow = 'there' | 'mounted' | 'sent';

export class Uploads {
  readonly #session: Session;
  readonly #patience: Patience;

  constructor(session: Session, patience: Patience) {
    this.#session = session;
    this.#patience = patience;
  }

  /** Fails with `blob.damaged` when the file does not hold what its digest says; the registry then keeps nothing. */
  async put(
    blob: BlobFile,
    mountFrom: string | undefined,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<SentHow> {
    if (mountFrom !== undefined && (await this.#mount(blob.digest, mountFrom, signal))) return 'mounted';
    if (blob.sizeBytes <= WHOLE_LIMIT_BYTES) await this.#putWhole(blob, onBytes, signal);
    else await this.#putInPieces(blob, onBytes, signal);
    return 'sent';
  }

  #mount(digest: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    return this.#patiently(signal, async () => {
      const to = `blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`;
      const { answer } = await this.#session.askShort(
        { method: 'POST', to },
        [201, 202],
        ANSWER_LIMIT_BYTES,
        signal,
      );
      if (answer.status === 201) return true;
      await this.#abandon(this.#session.locationOf(answer, to), signal);
      return false;
    });
  }

  /** The registry would forget the upload by itself, some day. */
  async #abandon(upload: URL, signal: AbortSignal): Promise<void> {
    const answer = await this.#session.ask({ method: 'DELETE', to: upload }, signal);
    await readAnswer(answer, upload, ANSWER_LIMIT_BYTES, signal);
  }

  async #begin(signal: AbortSignal): Promise<URL> {
    const to = 'blobs/uploads/';
    const { answer } = await this.#session.askShort(
      { method: 'POST', to },
      [202],
      ANSWER_LIMIT_BYTES,
      signal,
    );
    return this.#session.locationOf(answer, to);
  }

  #putWhole(blob: BlobFile, onBytes: (count: number) => void, signal: AbortSignal): Promise<void> {
    return this.#patiently(signal, async () => {
      const upload = await this.#begin(signal);
      upload.searchParams.set('digest', blob.digest);
      const read = new Reading(blob, 0, blob.sizeBytes, onBytes);
      const ask = { method: 'PUT', to: upload, headers: BYTES, body: read.outgoing } as const;
      const { answer, body } = await this.#session.askShort(ask, [201, 400, 404], ANSWER_LIMIT_BYTES, signal);
      if (answer.status === 201) return;
      if (read.digest() !== blob.digest) throw damagedHere(blob.digest);
      throw uploadLost(answer.status, upload, body);
    });
  }

  /** After an interruption the registry says how much it has; where it has forgotten the upload, all is sent again. */
  async #putInPieces(blob: BlobFile, onBytes: (count: number) => void, signal: AbortSignal): Promise<void> {
    await assertWhole(blob, signal);
    let upload: URL | undefined;
    let done = 0;
    await this.#patiently(signal, async () => {
      const kept = upload === undefined ? undefined : await this.#received(upload, signal);
      upload = kept === undefined ? await this.#begin(signal) : kept.upload;
      done = kept?.bytes ?? 0;
      while (done < blob.sizeBytes) {
        const end = Math.min(done + PIECE_BYTES, blob.sizeBytes);
        const { outgoing } = new Reading(blob, done, end, onBytes);
        const headers = { ...BYTES, 'content-range': `${done}-${end - 1}` };
        const at: URL = upload;
        const { answer, body } = await this.#session.askShort(
          { method: 'PATCH', to: at, headers, body: outgoing },
          [202, 400, 404, 416],
          ANSWER_LIMIT_BYTES,
          signal,
        );
        if (answer.status !== 202) throw uploadLost(answer.status, at, body);
        upload = this.#session.locationOf(answer, at);
        done = end;
      }
      const last = new URL(upload);
      last.searchParams.set('digest', blob.digest);
      const nothing = { sizeBytes: 0, open: () => Readable.from([]) };
      const { answer, body } = await this.#session.askShort(
        { method: 'PUT', to: last, body: nothing },
        [201, 400, 404],
        ANSWER_LIMIT_BYTES,
        signal,
      );
      if (answer.status === 201) return;
      // What has come there is not what was sent: begun anew.
      upload = undefined;
      throw uploadLost(answer.status, last, body);
    });
  }

  async #received(
    upload: URL,
    signal: AbortSignal,
  ): Promise<{ readonly upload: URL; readonly bytes: number } | undefined> {
    const answer = await this.#session.ask({ method: 'GET', to: upload }, signal);
    await readAnswer(answer, upload, ANSWER_LIMIT_BYTES, signal);
    if (answer.status !== 204) return undefined;
    const last = /^(?:bytes=)?0-(\d+)$/.exec(oneHeader(answer, 'range') ?? '')?.[1];
    // A registry that has one byte and one that has none say the same: then it is begun anew.
    if (last === undefined || Number(last) === 0) return undefined;
    return { upload: this.#session.locationOf(answer, upload), bytes: Number(last) + 1 };
  }

  #patiently<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return patiently(this.#patience, signal, work);
  }
}

/** Part of a file on its way out, counted and hashed as it goes. */
class Reading {
  readonly outgoing: { readonly sizeBytes: number; readonly open: () => Readable };
  #hash = createHash('sha256');

  constructor({ file }: BlobFile, from: number, end: number, onBytes: (count: number) => void) {
    this.outgoing = {
      sizeBytes: end - from,
      open: () => {
        this.#hash = createHash('sha256');
        const source = createReadStream(file, { start: from, end: end - 1, highWaterMark: 256 * 1024 });
        const counted = new Transform({
          transform: (piece: Buffer, _encoding, done) => {
            this.#hash.update(piece);
            onBytes(piece.length);
            done(null, piece);
          },
        });
        source.once('error', (error) => counted.destroy(error));
        counted.once('close', () => source.destroy());
        return source.pipe(counted);
      },
    };
  }

  /** Of all that has gone out. */
  digest(): string {
    return `sha256:${this.#hash.copy().digest('hex')}`;
  }
}

async function assertWhole(blob: BlobFile, signal: AbortSignal): Promise<void> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(blob.file, { highWaterMark: 1 << 20, signal }))
    hash.update(piece);
  if (`sha256:${hash.digest('hex')}` !== blob.digest) throw damagedHere(blob.digest);
}

/** A registry that was started again may not know its uploads any more: worth another try, from the beginning. */
function uploadLost(status: number, url: URL, body: Buffer): KilnError {
  const { message } = refused(status, url, body);
  return new KilnError('registry.unreachable', message, {
    next: 'Try again: what was sent already is not sent twice.',
    retryable: true,
  });
}

function damagedHere(digest: Digest): KilnError {
  return new KilnError('blob.damaged', `The blob ${digest} does not hold what its name says.`, {
    next: 'Check the disk, remove the blob and bake the image again; nothing of it was pushed.',
    details: { digest },
  });
}
