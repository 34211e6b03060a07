/**
 * Random numbers that are not: each is drawn from the entropy that came with an event, so replaying the event
 * draws the same ones. Without the entropy nobody can foretell them (task tokens depend on it).
 */
import { createHash } from 'node:crypto';

export class Entropy {
  readonly #seed: string;
  #drawn = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** From 0 (included) to 1 (excluded), with 53 bits. */
  fraction(): number {
    return fractionOf(this.#next());
  }

  uuid(): string {
    const hex = this.#next().toString('hex');
    const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  }

  /** Nobody can guess it. */
  token(): string {
    return this.#next().toString('base64url');
  }

  #next(): Buffer {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.#seed}:${this.#drawn}`).digest();
  }
}

/** The same seed gives the same number, as with AWS's seeded functions (not AWS's own numbers, which are secret). */
export function seededFraction(seed: number): number {
  return fractionOf(createHash('sha256').update(`seed:${seed}`).digest());
}

function fractionOf(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE() >> 11n) / 2 ** 53;
}
