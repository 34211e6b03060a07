/**
 * Bakes bundles in a process of its own. A large app takes hundreds of megabytes while it is baked, and a process
 * gives memory back to the system only by ending: so the server keeps none of it.
 *
 * The process starts with the first work and ends some time after the last. When it is killed, what was under way
 * fails, and nothing of it is left; the next work starts another.
 */
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { Digest } from '../../domain/ids.ts';
import { type Artifact, storedDigest } from '../../domain/image.ts';
import type {
  BuildDifference,
  Builder,
  BuildPlan,
  BuildProgress,
  BuildRequest,
  BuildResult,
} from '../../domain/ports/builder.ts';
import type { FileBlobStore } from '../blobs.ts';
import { sweepAfterBaker } from '../litter.ts';
import { isWholeInBlobs } from '../oci-layout.ts';
import { sweepPartial } from '../unpack.ts';
import { BakerChild } from './baker-child.ts';
import type { Answers, BakerSetup, Call } from './baker-messages.ts';
import { StepRecords } from './step-records.ts';

export interface BakerOptions extends Omit<BakerSetup, 'name'> {
  readonly blobs: FileBlobStore;
  /** Absolute path of the process's entry file. */
  readonly entry: string;
  /** The process ends after this long without work. */
  readonly idleMs: number;
  /** Names a process, and so what it leaves behind; never given twice. */
  readonly randomId: () => string;
}

export class Baker implements Builder {
  readonly kind = 'bundle';
  readonly #options: BakerOptions;
  readonly #records: StepRecords;
  readonly #keys = new WeakMap<BuildRequest, number>();
  #lastKey = 0;
  #child: BakerChild | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: BakerOptions) {
    this.#options = options;
    this.#records = new StepRecords(path.join(options.stateDirectory, 'cache', 'steps'), options.blobs);
  }

  plan(request: BuildRequest, signal: AbortSignal): Promise<BuildPlan> {
    return this.#call({ verb: 'plan', key: this.#keyOf(request), request }, nobody, signal);
  }

  build(
    request: BuildRequest,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<BuildResult> {
    return this.#call({ verb: 'build', key: this.#keyOf(request), request }, onProgress, signal);
  }

  verify(
    request: BuildRequest,
    artifact: Artifact,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<readonly BuildDifference[]> {
    return this.#call({ verb: 'verify', request, artifact }, onProgress, signal);
  }

  async isWhole(artifact: Artifact): Promise<boolean> {
    return isWholeInBlobs(this.#options.blobs, storedDigest(artifact));
  }

  /** As `unpackBundle`. */
  async unpack(digest: Digest, destination: string, signal: AbortSignal): Promise<void> {
    await this.#call({ verb: 'unpack', digest, destination }, nobody, signal);
  }

  /** Layers that cached steps stand on, of steps used since then; older ones are forgotten. */
  cachedLayers(sinceMs: number): Promise<ReadonlySet<Digest>> {
    return this.#records.layersUsedSince(sinceMs);
  }

  /** Work is likely to come soon: the process may start meanwhile. */
  prepare(): void {
    if (!this.#closed) this.#endWhenIdle(this.#running());
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    const child = this.#child;
    this.#child = undefined;
    await child?.close();
  }

  async #call<Verb extends Call['verb']>(
    call: Extract<Call, { verb: Verb }>,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<Answers[Verb]> {
    if (this.#closed) throw new KilnError('aborted', 'The bakery is closed.');
    if (signal.aborted) throw new KilnError('aborted', 'The bake was cancelled.', { cause: signal.reason });
    clearTimeout(this.#idleTimer);
    const child = this.#running();
    try {
      return await child.call<Verb>(call, onProgress, signal);
    } finally {
      this.#endWhenIdle(child);
    }
  }

  #running(): BakerChild {
    const { entry, stateDirectory, host, arch, workerEntry, threads, randomId } = this.#options;
    if (this.#child !== undefined) return this.#child;
    const setup = { name: randomId(), stateDirectory, host, arch, workerEntry, threads };
    const child: BakerChild = new BakerChild(entry, setup, async (unfinished) => {
      if (this.#child === child) this.#child = undefined;
      await this.#sweep(setup.name, unfinished);
    });
    this.#child = child;
    return child;
  }

  #endWhenIdle(child: BakerChild): void {
    if (child !== this.#child || child.isBusy) return;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#child = undefined;
      void child.close();
    }, this.#options.idleMs).unref();
  }

  /** What a process that was killed has left. */
  async #sweep(name: string, unfinished: readonly Call[]): Promise<void> {
    const { stateDirectory, blobs } = this.#options;
    await sweepAfterBaker(stateDirectory, blobs, name);
    for (const call of unfinished) if (call.verb === 'unpack') await sweepPartial(call.destination);
  }

  #keyOf(request: BuildRequest): number {
    const known = this.#keys.get(request);
    if (known !== undefined) return known;
    this.#lastKey += 1;
    this.#keys.set(request, this.#lastKey);
    return this.#lastKey;
  }
}

function nobody(): void {}
