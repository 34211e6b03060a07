/**
 * Sets of image numbers, kept in chunks of 16,384: what an index entry is, and what queries compute with. Pure.
 * A stored chunk is a list of two-byte offsets (little-endian) while that is shorter, else the bits themselves.
 */
export const CHUNK_NUMBERS = 1 << 14;
const CHUNK_BYTES = CHUNK_NUMBERS / 8;
const CHUNK_WORDS = CHUNK_BYTES / 4;
export const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The bits of one chunk, 32 to a word. */
export type Bits = Uint32Array;

export function chunkOf(number: number): number {
  return Math.floor(number / CHUNK_NUMBERS);
}

export function noBits(): Bits {
  return new Uint32Array(CHUNK_WORDS);
}

export function setBit(bits: Bits, number: number, on: boolean): void {
  const offset = number % CHUNK_NUMBERS;
  const word = bits[offset >>> 5] ?? 0;
  bits[offset >>> 5] = on ? word | (1 << (offset & 31)) : word & ~(1 << (offset & 31));
}

export function hasBit(bits: Bits | undefined, number: number): boolean {
  const offset = number % CHUNK_NUMBERS;
  return bits !== undefined && ((bits[offset >>> 5] ?? 0) & (1 << (offset & 31))) !== 0;
}

export function countBits(bits: Bits): number {
  let count = 0;
  for (let word of bits) {
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += (((word + (word >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
  }
  return count;
}

export function isEmpty(bits: Bits): boolean {
  for (const word of bits) if (word !== 0) return false;
  return true;
}

/** Changes `into`, and answers it. */
export function combine(into: Bits, other: Bits, how: 'and' | 'or' | 'and-not'): Bits {
  for (let at = 0; at < CHUNK_WORDS; at += 1) {
    const [left, right] = [into[at] ?? 0, other[at] ?? 0];
    into[at] = how === 'and' ? left & right : how === 'or' ? left | right : left & ~right;
  }
  return into;
}

/** The numbers of a chunk, smallest first. */
export function numbersOf(chunk: number, bits: Bits): number[] {
  const found: number[] = [];
  bits.forEach((word, at) => {
    let rest = word;
    while (rest !== 0) {
      const lowest = rest & -rest;
      found.push(chunk * CHUNK_NUMBERS + at * 32 + (31 - Math.clz32(lowest)));
      rest ^= lowest;
    }
  });
  return found;
}

export function encodeBits(bits: Bits): Uint8Array {
  const count = countBits(bits);
  if (count * 2 >= CHUNK_BYTES) {
    const bytes = new Uint8Array(CHUNK_BYTES);
    const view = new DataView(bytes.buffer);
    bits.forEach((word, at) => {
      view.setUint32(at * 4, word, true);
    });
    return bytes;
  }
  const bytes = new Uint8Array(count * 2);
  const view = new DataView(bytes.buffer);
  numbersOf(0, bits).forEach((offset, at) => {
    view.setUint16(at * 2, offset, true);
  });
  return bytes;
}

/** The number that a stored chunk holds, when it holds one alone. */
export function soleNumber(chunk: number, bytes: Uint8Array): number | undefined {
  if (bytes.length !== 2) return undefined;
  return chunk * CHUNK_NUMBERS + new DataView(bytes.buffer, bytes.byteOffset, 2).getUint16(0, true);
}

export function decodeBits(bytes: Uint8Array): Bits {
  const bits = noBits();
  if (bytes.length === CHUNK_BYTES && LITTLE_ENDIAN) {
    new Uint8Array(bits.buffer).set(bytes);
    return bits;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === CHUNK_BYTES) {
    for (let at = 0; at < CHUNK_WORDS; at += 1) bits[at] = view.getUint32(at * 4, true);
    return bits;
  }
  for (let at = 0; at + 1 < bytes.length; at += 2) setBit(bits, view.getUint16(at, true), true);
  return bits;
}
