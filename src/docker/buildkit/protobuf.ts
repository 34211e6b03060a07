/**
 * Messages of Protocol Buffers, as far as a BuildKit session needs them: fields that are whole numbers or bytes
 * (protobuf.dev/programming-guides/encoding). Pure.
 */

export interface Field {
  readonly number: number;
  /** A number for varints and fixed ones, bytes for texts, bytes and messages. */
  readonly value: number | Buffer;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Ten bytes of seven bits hold 64 bits. */
const LONGEST_VARINT_BYTES = 10;

/** Numbers above 2⁵³ lose their last digits: none of the messages needs them. Fails on what is no message. */
export function* fields(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let index = 0; index < LONGEST_VARINT_BYTES; index += 1) {
      const byte = message[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return value;
    }
    throw new Error('a protobuf message that is cut off');
  };
  while (at < message.length) {
    const key = varint();
    const [number, kind] = [Math.floor(key / 8), key % 8];
    if (kind === VARINT) {
      yield { number, value: varint() };
      continue;
    }
    const length = kind === BYTES ? varint() : kind === FIXED64 ? 8 : kind === FIXED32 ? 4 : Number.NaN;
    if (!(at + length <= message.length)) throw new Error('a protobuf message that is cut off');
    yield { number, value: message.subarray(at, at + length) };
    at += length;
  }
}

/** @param value a whole number from 0 to 2⁵³ */
export function numberField(number: number, value: number): Buffer {
  return Buffer.from([...varintBytes(number * 8 + VARINT), ...varintBytes(value)]);
}

export function bytesField(number: number, value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([
    Buffer.from([...varintBytes(number * 8 + BYTES), ...varintBytes(bytes.length)]),
    bytes,
  ]);
}

/** The last value of a field of bytes; empty where it is left out, as the format has it. */
export function bytesOf(message: Buffer, wanted: number): Buffer {
  let found: Buffer = Buffer.alloc(0);
  for (const { number, value } of fields(message)) {
    if (number === wanted && typeof value !== 'number') found = value;
  }
  return found;
}

function varintBytes(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...bytes, rest];
}
