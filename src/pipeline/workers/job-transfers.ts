/** The worker's side of what travels with a job: artifacts in and out, and the source that only the server has. */
import { createReadStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { ArtifactStore, KeptArtifact } from '../../domain/ports/artifacts.ts';
import { assertDigest, writeDigested } from '../artifacts/file-digest.ts';
import { tar } from '../artifacts/packed-files.ts';
import type { CommandSources, SourceWish } from '../commands/source.ts';
import { TaskFailed } from '../task.ts';
import { type Offer, PIECE_BYTES, type WorkerServer } from './protocol.ts';

const RETRY_MS = 1_000;
/** In a row, without a byte that is new. */
const TRIES = 20;
/** Of an artifact that arrives damaged. */
const SENDINGS = 3;
/** Of an artifact, and of a source. */
const LARGEST_BYTES = 10 * 1024 ** 3;

type ArtifactLine = Pick<WorkerServer, 'fetch' | 'send' | 'keep'>;

/** What the server keeps; the worker has copies of what passed through here, compared with their digests. */
export class JobArtifacts implements ArtifactStore {
  readonly #copies: ArtifactStore;
  readonly #server: ArtifactLine;
  readonly #offer: Offer;

  constructor(copies: ArtifactStore, server: ArtifactLine, offer: Offer) {
    this.#copies = copies;
    this.#server = server;
    this.#offer = offer;
  }

  sweep(): Promise<void> {
    return this.#copies.sweep();
  }

  async write(
    fill: (descriptor: number) => Promise<void>,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<KeptArtifact | undefined> {
    const artifact = await this.#copies.write(fill, limitBytes, signal);
    if (artifact === undefined) return undefined;
    await this.#copies.read(
      artifact.digest,
      async (descriptor) => {
        for (let times = 1; ; times += 1) {
          await this.#send(artifact, descriptor, signal);
          if (await this.#isKept(artifact, times === SENDINGS, signal)) return;
        }
      },
      signal,
    );
    return artifact;
  }

  async read<Result>(
    digest: string,
    work: (descriptor: number) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    const known = await this.#copies.read(digest, work, signal).catch((thrown: unknown) => {
      // A damaged copy is no copy.
      if (asKilnError(thrown).code === 'blob.damaged') return undefined;
      throw thrown;
    });
    if (known !== undefined) return known;
    if (!(await this.#fetched(digest, signal))) return undefined;
    return this.#copies.read(digest, work, signal);
  }

  trim(nowMs: number): Promise<void> {
    return this.#copies.trim(nowMs);
  }

  async #send({ digest }: KeptArtifact, descriptor: number, signal: AbortSignal): Promise<void> {
    const from = { fd: descriptor, start: 0, autoClose: false, highWaterMark: PIECE_BYTES, signal };
    let offset = 0;
    for await (const bytes of createReadStream('', from)) {
      const piece = { digest, offset, bytes: new Uint8Array(bytes) };
      await untilDone(() => this.#server.send(this.#offer, piece, signal), signal);
      offset += piece.bytes.length;
    }
  }

  /** False: other bytes have arrived than were sent, and they may be sent again. */
  async #isKept(artifact: KeptArtifact, isLast: boolean, signal: AbortSignal): Promise<boolean> {
    try {
      await untilDone(() => this.#server.keep(this.#offer, artifact, signal), signal);
      return true;
    } catch (thrown) {
      if (!isLast && !signal.aborted && asKilnError(thrown).code === 'blob.damaged') return false;
      throw thrown;
    }
  }

  /** False: the server has none of this digest. */
  async #fetched(digest: string, signal: AbortSignal): Promise<boolean> {
    const fill = async (descriptor: number) => {
      const bytes = arriving(this.#server, this.#offer, digest, signal);
      assertDigest(await writeDigested(bytes, descriptor, signal), digest);
    };
    try {
      if ((await this.#copies.write(fill, LARGEST_BYTES, signal)) !== undefined) return true;
      throw new KilnError('input.too-large', `${digest} is larger than ${LARGEST_BYTES} bytes.`);
    } catch (thrown) {
      if (!signal.aborted && asKilnError(thrown).code === 'not-found') return false;
      throw thrown;
    }
  }
}

/** A source that travels comes from the server, any other one as it comes on the server itself. */
export class JobSources implements CommandSources {
  readonly #own: CommandSources;
  readonly #artifacts: ArtifactStore;
  readonly #server: WorkerServer;
  readonly #offer: Offer;
  readonly #searchPath: string;

  constructor(
    own: CommandSources,
    artifacts: ArtifactStore,
    { server, offer, searchPath }: { server: WorkerServer; offer: Offer; searchPath: string },
  ) {
    this.#own = own;
    this.#artifacts = artifacts;
    this.#server = server;
    this.#offer = offer;
    this.#searchPath = searchPath;
  }

  async bring(wish: SourceWish, folder: string, signal: AbortSignal): Promise<string | undefined> {
    if (!this.#offer.sourceTravels) return this.#own.bring(wish, folder, signal);
    try {
      const { digest } = await untilDone(() => this.#server.source(this.#offer, signal), signal);
      await mkdir(folder);
      const args = ['--extract', '--file=-', '--no-same-owner'];
      const unpack = (stdin: number) => tar(args, { folder, stdin, searchPath: this.#searchPath }, signal);
      const exitCode = await this.#artifacts.read(digest, unpack, signal);
      if (exitCode === 0) return `${wish.source} of the server, packed as ${digest}`;
      throw new KilnError('internal', `tar ended with ${exitCode ?? 'nothing to unpack'}.`);
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message } = asKilnError(thrown);
      // As it is there.
      if (code === 'checkout.failed') throw new TaskFailed('Cmd.Source', message);
      throw new TaskFailed('Cmd.Source', `The source could not be brought to the worker: ${message}`);
    }
  }
}

/** From the first byte to the last, over lost connections. */
async function* arriving(
  server: ArtifactLine,
  offer: Offer,
  digest: string,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  let offset = 0;
  for (let tries = 1; ; tries += 1) {
    try {
      for await (const piece of server.fetch(offer, digest, offset, signal)) {
        offset += piece.length;
        tries = 0;
        yield piece;
      }
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!asKilnError(thrown).retryable || tries >= TRIES) throw thrown;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

/** Again while the server is only away. */
async function untilDone<Result>(ask: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, retryable } = asKilnError(thrown);
      if (!retryable || code === 'source.changed' || tries >= TRIES) throw thrown;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}
