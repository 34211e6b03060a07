/** Blobs and manifests of one repository, as the OCI distribution specification v1.1 lays them down. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { KilnError } from '../domain/errors.ts';
import { type Digest, digest as parseDigest } from '../domain/ids.ts';
import { readAnswer, receivedFrom } from './exchange.ts';
import { type Patience, patiently } from './patience.ts';
import { oneHeader, refused, type Session } from './session.ts';
import { type BlobFile, type SentHow, Uploads } from './uploads.ts';

export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const DOCKER_MANIFEST_TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

/** The specification's own limit for manifests. */
const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;
const ANSWER_LIMIT_BYTES = 1024 * 1024;

export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly text: string;
}

export class Repository {
  readonly #session: Session;
  readonly #patience: Patience;
  readonly #uploads: Uploads;

  constructor(session: Session, patience: Patience) {
    this.#session = session;
    this.#patience = patience;
    this.#uploads = new Uploads(session, patience);
  }

  /** Undefined: the registry has none of this name. */
  manifest(reference: string, signal: AbortSignal): Promise<Manifest | undefined> {
    return this.#patiently(signal, async () => {
      const accept = [INDEX_TYPE, MANIFEST_TYPE, DOCKER_MANIFEST_TYPE].join(', ');
      const to = `manifests/${reference}`;
      const { answer, body } = await this.#session.askShort(
        { method: 'GET', to, headers: { accept } },
        [200, 404],
        MANIFEST_LIMIT_BYTES,
        signal,
      );
      if (answer.status === 404) return undefined;
      const digest = parseDigest(`sha256:${createHash('sha256').update(body).digest('hex')}`);
      if (reference.startsWith('sha256:') && reference !== digest) throw damagedThere(parseDigest(reference));
      const mediaType = (oneHeader(answer, 'content-type') ?? '').split(';')[0]?.trim() ?? '';
      return { digest, mediaType, text: body.toString('utf8') };
    });
  }

  /** Only when everything that it names is there. */
  putManifest(reference: string, manifest: Manifest, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.from(manifest.text);
    return this.#patiently(signal, async () => {
      await this.#session.askShort(
        {
          method: 'PUT',
          to: `manifests/${reference}`,
          headers: { 'content-type': manifest.mediaType },
          body: { sizeBytes: bytes.length, open: () => Readable.from([bytes]) },
        },
        [201],
        ANSWER_LIMIT_BYTES,
        signal,
      );
    });
  }

  /** With every tag that names it; one that is not there is fine. Registries may be set up to refuse it. */
  deleteManifest(digest: Digest, signal: AbortSignal): Promise<void> {
    return this.#patiently(signal, async () => {
      const ask = { method: 'DELETE', to: `manifests/${digest}` } as const;
      await this.#session.askShort(ask, [200, 202, 404], ANSWER_LIMIT_BYTES, signal);
    });
  }

  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#patiently(signal, async () => {
      const ask = { method: 'HEAD', to: `blobs/${digest}` } as const;
      const { answer } = await this.#session.askShort(ask, [200, 404], ANSWER_LIMIT_BYTES, signal);
      return answer.status === 200;
    });
  }

  /**
   * Sends a blob unless it is there, or can be had from another repository of the registry. Fails with
   * `blob.damaged` when the file does not hold what its digest says; the registry then keeps nothing.
   */
  async putBlob(
    blob: BlobFile,
    mountFrom: string | undefined,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<SentHow> {
    if (await this.hasBlob(blob.digest, signal)) return 'there';
    return this.#uploads.put(blob, mountFrom, onBytes, signal);
  }

  /**
   * Writes a blob to a new file, synced. An interrupted reading goes on where it was. Fails with `blob.damaged`
   * when the registry gives other bytes than its digest says.
   */
  async getBlob(
    digest: Digest,
    sizeBytes: number,
    file: string,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const handle = await open(file, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      let done = 0;
      await this.#patiently(signal, async () => {
        for await (const piece of this.#read(digest, done, signal)) {
          if (done + piece.length > sizeBytes) throw damagedThere(digest);
          hash.update(piece);
          await handle.writeFile(piece);
          done += piece.length;
          onBytes(piece.length);
        }
      });
      if (done !== sizeBytes || `sha256:${hash.digest('hex')}` !== digest) throw damagedThere(digest);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  /** The blob from an offset on, whether or not the registry knows ranges. */
  async *#read(digest: Digest, from: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    const to = `blobs/${digest}`;
    const headers: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` };
    const answer = await this.#session.ask({ method: 'GET', to, headers }, signal);
    const url = this.#session.urlOf(to);
    if (answer.status !== 200 && answer.status !== 206) {
      throw refused(answer.status, url, await readAnswer(answer, url, ANSWER_LIMIT_BYTES, signal));
    }
    let skip = answer.status === 200 ? from : 0;
    for await (const piece of receivedFrom(answer, url, signal)) {
      const rest = piece.subarray(Math.min(skip, piece.length));
      skip -= piece.length - rest.length;
      if (rest.length > 0) yield rest;
    }
  }

  #patiently<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return patiently(this.#patience, signal, work);
  }
}

function damagedThere(digest: Digest): KilnError {
  return new KilnError('blob.damaged', `The registry gives other bytes for ${digest} than its name says.`, {
    next: 'Push the image again from where it was baked; nothing of it was taken over.',
    details: { digest },
  });
}
