/**
 * Keeps blobs from being collected while somebody is about to stand on them: a pull that has not recorded its image yet, a
 * push that reads them. Within one process, which alone collects in its state directory.
 *
 * - A hold that has begun keeps a blob that is there; what was just being deleted has gone before the hold begins.
 * - What is let go while blobs are collected is kept until that has ended: what needs it now came too late to be seen.
 */
import type { Digest } from '../domain/ids.ts';

export class BlobHolds {
  readonly #held = new Map<Digest, number>();
  readonly #going = new Map<Digest, Promise<void>>();
  readonly #letGo: Digest[] = [];
  #collections = 0;

  /** Answers how to let go of them, once. */
  async hold(digests: readonly Digest[]): Promise<() => void> {
    for (const digest of digests) this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
    await Promise.all(digests.map((digest) => this.#going.get(digest)));
    return () => {
      this.#letGo.push(...digests);
      if (this.#collections === 0) this.#settle();
    };
  }

  /** For a collection, before it looks what is needed; answers how to end it. */
  beginCollection(): () => void {
    this.#collections += 1;
    return () => {
      this.#collections -= 1;
      if (this.#collections === 0) this.#settle();
    };
  }

  /** False: it is held, and nothing was done. */
  async unlessHeld(digest: Digest, remove: () => Promise<void>): Promise<boolean> {
    if (this.#held.has(digest)) return false;
    const going = remove();
    this.#going.set(
      digest,
      going.catch(() => undefined), // Whoever removes it hears of that.
    );
    try {
      await going;
    } finally {
      this.#going.delete(digest);
    }
    return true;
  }

  #settle(): void {
    for (const digest of this.#letGo.splice(0)) {
      const others = (this.#held.get(digest) ?? 1) - 1;
      if (others === 0) this.#held.delete(digest);
      else this.#held.set(digest, others);
    }
  }
}
