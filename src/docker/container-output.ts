/**
 * What a container writes, from the engine's multiplexed stream: frames of an 8-byte header (stream, three zeros,
 * length in big-endian) and that many bytes, as `POST /containers/{id}/attach` documents them.
 */
import type { Readable } from 'node:stream';

const HEADER_BYTES = 8;
const NEWLINE = 10;
/** A longer line is given in pieces: memory stays bounded whatever an app writes. */
const LONGEST_LINE_BYTES = 64 * 1024;

/** Whole lines, each stream's own; what has no line end is given when the stream ends. */
export async function* outputLines(frames: Readable): AsyncGenerator<string> {
  const rest = new Map<number, Buffer>();
  for await (const { stream, payload } of demultiplexed(frames)) {
    const before = rest.get(stream);
    const bytes = before === undefined ? payload : Buffer.concat([before, payload]);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      yield lineText(bytes.subarray(from, at));
      from = at + 1;
    }
    let left = bytes.subarray(from);
    while (left.length > LONGEST_LINE_BYTES) {
      const cut = characterBoundary(left, LONGEST_LINE_BYTES);
      yield lineText(left.subarray(0, cut));
      left = left.subarray(cut);
    }
    rest.set(stream, Buffer.from(left));
  }
  for (const bytes of rest.values()) if (bytes.length > 0) yield lineText(bytes);
}

interface Frame {
  readonly stream: number;
  readonly payload: Buffer;
}

async function* demultiplexed(frames: Readable): AsyncGenerator<Frame> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of frames) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + pending.readUInt32BE(4);
      if (pending.length < end) break;
      yield { stream: pending[0] ?? 0, payload: pending.subarray(HEADER_BYTES, end) };
      pending = pending.subarray(end);
    }
  }
}

function lineText(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/\r$/, '');
}

/** The last place at or before `limit` where a character of UTF-8 begins. */
function characterBoundary(bytes: Buffer, limit: number): number {
  let at = limit;
  while (at > limit - 4 && ((bytes[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}
