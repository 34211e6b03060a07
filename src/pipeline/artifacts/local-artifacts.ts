import type { ArtifactStore, KeptArtifact } from '../../domain/ports/artifacts.ts';
import { StoredFolders } from '../commands/stored-folders.ts';
import { assertDigest, descriptorDigest } from './file-digest.ts';

const ALL_BYTES = 50 * 1024 ** 3;
const KEPT_MS = 30 * 24 * 3_600_000;

/** Artifacts in a folder of this machine. */
export class LocalArtifacts implements ArtifactStore {
  readonly #files: StoredFolders;

  constructor(folder: string, newId: () => string) {
    this.#files = new StoredFolders(folder, newId);
  }

  sweep(): Promise<void> {
    return this.#files.sweep();
  }

  write(
    fill: (descriptor: number) => Promise<void>,
    limitBytes: number,
    signal: AbortSignal,
  ): Promise<KeptArtifact | undefined> {
    signal.throwIfAborted();
    return this.#files.write(fill, { nameOf: ({ digest }) => nameOf(digest), limitBytes });
  }

  read<Result>(
    digest: string,
    work: (descriptor: number) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result | undefined> {
    return this.#files.read(nameOf(digest), async (descriptor) => {
      assertDigest(await descriptorDigest(descriptor, signal), digest);
      return work(descriptor);
    });
  }

  trim(nowMs: number): Promise<void> {
    return this.#files.trim(ALL_BYTES, KEPT_MS, nowMs);
  }
}

function nameOf(digest: string): string {
  return digest.replace(':', '-');
}
