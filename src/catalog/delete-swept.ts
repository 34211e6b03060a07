/** Has deleted, wherever they are kept, what images that were swept were kept as. */
import { asKilnError } from '../domain/errors.ts';
import type { ComponentName } from '../domain/ids.ts';
import { type Artifact, isStored } from '../domain/image.ts';
import type { ArtifactRemoval } from '../domain/ports/artifact-removal.ts';
import type { SweptArtifact } from '../domain/ports/janitor.ts';

/** Of removals, in one run. */
const FAILURES_TOLD = 20;
/** Of one provider in one region, before the rest of it waits for the next run. */
const FAILURES_BORNE = 3;

export interface DeletingParts {
  /** Deletes blobs that no image stands on any more. */
  readonly collectBlobs: () => Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** What concerns an artifact deletes it; all of them where several do. */
  readonly removals: readonly ArtifactRemoval[];
}

export interface Deleted {
  readonly deletedBlobs: number;
  readonly deletedBytes: number;
  /** What could not be deleted where it is kept; the next run tries again. */
  readonly artifactsLeft: number;
  /** Of the first of them. */
  readonly failures: readonly RemovalFailure[];
}

interface RemovalFailure {
  /** Who keeps it, in which region, under which name. */
  readonly artifact: string;
  readonly why: string;
}

export const NOTHING_DELETED: Deleted = { deletedBlobs: 0, deletedBytes: 0, artifactsLeft: 0, failures: [] };

/** One run's deleting: blobs are collected once, and a provider that keeps failing is left for the next run. */
export class Deleting {
  readonly #parts: DeletingParts;
  readonly #failures: RemovalFailure[] = [];
  readonly #failed = new Map<string, number>();
  #left = 0;
  #collected: { readonly blobs: number; readonly bytes: number } | undefined;
  #notCollected: string | undefined;

  constructor(parts: DeletingParts) {
    this.#parts = parts;
  }

  get result(): Deleted {
    const { blobs = 0, bytes = 0 } = this.#collected ?? {};
    return {
      deletedBlobs: blobs,
      deletedBytes: bytes,
      artifactsLeft: this.#left,
      failures: this.#failures,
    };
  }

  async isGone({ artifact, component }: SweptArtifact, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    const why = await this.#delete(artifact, component, signal);
    if (why === undefined) return true;
    this.#left += 1;
    const place = [artifact.provider, artifact.region, artifact.reference ?? artifact.digest];
    const failure = { artifact: place.filter(Boolean).join(' '), why };
    if (this.#failures.length < FAILURES_TOLD) this.#failures.push(failure);
    return false;
  }

  /** Undefined: it is gone. */
  async #delete(
    artifact: Artifact,
    component: ComponentName,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const concerned = this.#parts.removals.filter((one) => one.concerns(artifact));
    if (concerned.length === 0 && !isStored(artifact))
      return `Kiln does not know how to delete from ${artifact.provider}.`;
    if (isStored(artifact)) {
      const why = await this.#collect();
      if (why !== undefined) return why;
    }
    for (const removal of concerned) {
      const key = `${removal.name} ${artifact.region ?? ''}`;
      const failed = this.#failed.get(key) ?? 0;
      if (failed >= FAILURES_BORNE) return `${key.trim()} has failed ${failed} times: left for the next run.`;
      try {
        await removal.remove(artifact, component, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        this.#failed.set(key, failed + 1);
        return asKilnError(thrown).message;
      }
    }
    return undefined;
  }

  async #collect(): Promise<string | undefined> {
    if (this.#collected !== undefined || this.#notCollected !== undefined) return this.#notCollected;
    try {
      this.#collected = await this.#parts.collectBlobs();
    } catch (thrown) {
      this.#notCollected = asKilnError(thrown).message;
    }
    return this.#notCollected;
  }
}
