/**
 * Memberships of layers, remembered by the very entries they hold: entries of unchanged files are the same objects
 * from bake to bake, and comparing 15,000 references takes a fraction of hashing what they say.
 */
import type { Digest } from '../../domain/ids.ts';
import { sha256 } from '../blobs.ts';
import { divideIntoLayers, membershipOf } from './layers.ts';
import type { KnownEntry } from './tree.ts';

const REMEMBERED = 4096;

export class Memberships {
  readonly #byFirst = new Map<string, { entries: readonly KnownEntry[]; membership: string }>();

  of(entries: readonly KnownEntry[]): string {
    const name = `${entries.length} ${entries[0]?.path}`;
    const before = this.#byFirst.get(name);
    if (before?.entries.every((entry, index) => entry === entries[index])) return before.membership;
    const membership = membershipOf(entries);
    if (this.#byFirst.size >= REMEMBERED) this.#byFirst.clear();
    this.#byFirst.set(name, { entries, membership });
    return membership;
  }

  /** Digest of a whole tree. @param entries in the order of their paths */
  ofTree(entries: readonly KnownEntry[]): Digest {
    return sha256(
      divideIntoLayers(entries)
        .map((layer) => this.of(layer.entries))
        .join('\n'),
    );
  }
}
