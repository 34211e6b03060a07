/** Pushes and pulls that were asked for: each runs in the server, can be watched and cancelled, and ends by itself. */
import type { FileBlobStore } from '../bakery/blobs.ts';
import type { Change } from '../domain/change.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { Image } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { FindCredentials } from './credentials.ts';
import type { KnownPlaces } from './known-places.ts';
import { pullImage } from './pull.ts';
import { pushImage } from './push.ts';
import { parseRegistryReference, type RegistryReference, tagOf } from './reference.ts';
import { Repository } from './repository.ts';
import { Session } from './session.ts';
import type { Attachment } from './shipment.ts';
import { NOTHING_YET, type TransferProgress } from './transfer-progress.ts';

export interface TransferOutcome {
  /** `unchanged`: nothing had to be moved. */
  readonly kind: 'pushed' | 'pulled' | 'unchanged';
  readonly image: Image;
  /** `HOST/NAME@sha256:…`, which never means anything else. */
  readonly reference: string;
}

export interface Transfer {
  readonly id: string;
  readonly direction: 'push' | 'pull';
  readonly reference: string;
  readonly progress: TransferProgress;
  readonly startedAtMs: number;
  readonly startedBy: string;
  readonly endedAtMs?: number;
  readonly outcome?: TransferOutcome;
  readonly failure?: KilnError;
}

export interface TransfersParts {
  readonly store: Pick<Store, 'images'>;
  readonly blobs: FileBlobStore;
  readonly clock: Clock;
  readonly credentials: FindCredentials;
  /** Hosts, beside this machine, that are spoken to over plain HTTP. */
  readonly plainHttp: readonly string[];
  readonly places: KnownPlaces;
  /** What goes along with an image, such as its SBOM. */
  readonly attachmentsOf: (image: Image, signal: AbortSignal) => Promise<readonly Attachment[]>;
  readonly newId: () => string;
  /** Spreads retries; 0 ≤ n < 1. */
  readonly random: () => number;
  /** How long a registry may be away before a transfer gives up. */
  readonly patienceMs: number;
}

const TRANSFERS_KEPT = 200;
/** Of everything: whatever takes longer hangs. */
const LIMIT_MS = 6 * 3600_000;

interface Running {
  readonly controller: AbortController;
  readonly end: Promise<void>;
}

export class Transfers {
  readonly #parts: TransfersParts;
  readonly #transfers = new Map<string, Transfer>();
  readonly #running = new Map<string, Running>();

  constructor(parts: TransfersParts) {
    this.#parts = parts;
  }

  /** @param to `HOST/NAME[:TAG]`; without a tag it gets the image's version */
  push(image: Image, to: string, actor: string): Transfer {
    const reference = parseRegistryReference(to, this.#parts.plainHttp);
    if (reference.digest !== undefined) {
      throw new KilnError('input.invalid', 'A push cannot choose its digest.', {
        next: 'Give HOST/NAME or HOST/NAME:TAG.',
      });
    }
    return this.#start('push', to, actor, (id, signal) =>
      this.#push(id, image, reference, { actor }, signal),
    );
  }

  /** @param from `HOST/NAME:TAG` or `HOST/NAME@sha256:…` */
  pull(from: string, change: Omit<Change, 'atMs'>): Transfer {
    const reference = parseRegistryReference(from, this.#parts.plainHttp);
    return this.#start('pull', from, change.actor, (id, signal) => this.#pull(id, reference, change, signal));
  }

  get(id: string): Transfer {
    const transfer = this.#transfers.get(id);
    if (transfer !== undefined) return transfer;
    throw new KilnError('not-found', `There is no transfer ${id}.`, {
      next: 'Transfers are known until the server restarts; ask again: what was moved is not moved twice.',
    });
  }

  /** As it is when it has ended, or after `timeoutMs`. */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<Transfer> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const over = new Promise<void>((resolve) => {
      limit.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#running.get(id)?.end, over]);
    signal.throwIfAborted();
    return this.get(id);
  }

  /** One that has ended stays as it is. */
  cancel(id: string): Transfer {
    const transfer = this.get(id);
    const reason = new KilnError('aborted', `The ${transfer.direction} was cancelled.`);
    this.#running.get(id)?.controller.abort(reason);
    return transfer;
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    const reason = new KilnError('aborted', 'The server is stopping.', { retryable: true });
    for (const { controller } of running) controller.abort(reason);
    await Promise.all(running.map(({ end }) => end));
  }

  #start(
    direction: Transfer['direction'],
    reference: string,
    startedBy: string,
    work: (id: string, signal: AbortSignal) => Promise<TransferOutcome>,
  ): Transfer {
    const id = this.#parts.newId();
    const startedAtMs = this.#parts.clock.now();
    const transfer = { id, direction, reference, progress: NOTHING_YET, startedAtMs, startedBy };
    this.#transfers.set(id, transfer);
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(LIMIT_MS)]);
    const end = this.#carryOut(id, () => work(id, signal)).finally(() => this.#running.delete(id));
    this.#running.set(id, { controller, end });
    for (const [old] of this.#transfers) {
      if (this.#transfers.size <= TRANSFERS_KEPT) break;
      if (!this.#running.has(old)) this.#transfers.delete(old);
    }
    return transfer;
  }

  async #carryOut(id: string, work: () => Promise<TransferOutcome>): Promise<void> {
    try {
      const outcome = await work();
      this.#change(id, (before) => ({ ...before, outcome, endedAtMs: this.#parts.clock.now() }));
    } catch (thrown) {
      const failure = asKilnError(thrown);
      this.#change(id, (before) => ({ ...before, failure, endedAtMs: this.#parts.clock.now() }));
    }
  }

  #change(id: string, next: (before: Transfer) => Transfer): void {
    const before = this.#transfers.get(id);
    if (before !== undefined) this.#transfers.set(id, next(before));
  }

  async #push(
    id: string,
    image: Image,
    reference: RegistryReference,
    change: Omit<Change, 'atMs'>,
    signal: AbortSignal,
  ): Promise<TransferOutcome> {
    const { blobs, places, attachmentsOf, store, clock } = this.#parts;
    const { host, name } = reference;
    const attachments = await attachmentsOf(image, signal);
    const pushed = await this.#inRepository(reference, (repository) =>
      pushImage(
        {
          blobs,
          repository,
          knownElsewhere: (blob) => places.elsewhere(host, name, blob),
          onProgress: (step) => this.#progressed(id, step),
          onIndex: (digest) =>
            store.images.recordCopy(image.id, `${host}/${name}@${digest}`, { ...change, atMs: clock.now() }),
        },
        image,
        reference.tag ?? tagOf(image.version),
        attachments,
        signal,
      ),
    );
    await places.remember(host, name, pushed.blobs);
    const kind = this.get(id).progress.movedBlobs === 0 ? 'unchanged' : 'pushed';
    return { kind, image, reference: `${host}/${name}@${pushed.digest}` };
  }

  async #pull(
    id: string,
    reference: RegistryReference,
    change: Omit<Change, 'atMs'>,
    signal: AbortSignal,
  ): Promise<TransferOutcome> {
    const { blobs, store, clock } = this.#parts;
    const onProgress = (step: (before: TransferProgress) => TransferProgress): void =>
      this.#progressed(id, step);
    const { kind, image, digest } = await this.#inRepository(reference, (repository) =>
      pullImage(
        { blobs, store, repository, onProgress, now: () => clock.now() },
        reference,
        () => ({ ...change, atMs: clock.now() }),
        signal,
      ),
    );
    return { kind, image, reference: `${reference.host}/${reference.name}@${digest}` };
  }

  async #inRepository<Result>(
    reference: RegistryReference,
    work: (repository: Repository) => Promise<Result>,
  ): Promise<Result> {
    const { credentials, clock, random, patienceMs } = this.#parts;
    const session = new Session(reference, credentials);
    try {
      return await work(new Repository(session, { clock, random, limitMs: patienceMs }));
    } finally {
      session.close();
    }
  }

  #progressed(id: string, step: (before: TransferProgress) => TransferProgress): void {
    this.#change(id, (before) => ({ ...before, progress: step(before.progress) }));
  }
}
