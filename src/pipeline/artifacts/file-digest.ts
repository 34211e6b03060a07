import { createHash } from 'node:crypto';
import { createReadStream, write } from 'node:fs';
import { promisify } from 'node:util';
import { KilnError } from '../../domain/errors.ts';

const writeSome = promisify(write);

/** From the beginning to the end of what is open, whose own position stays. */
export async function descriptorDigest(descriptor: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const bytes = createReadStream('', { fd: descriptor, start: 0, autoClose: false, signal });
  for await (const piece of bytes) hash.update(piece);
  return `sha256:${hash.digest('hex')}`;
}

/** Behind the descriptor's position; resolves with the digest of all. */
export async function writeDigested(
  bytes: AsyncIterable<Uint8Array>,
  descriptor: number,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of bytes) {
    signal.throwIfAborted();
    hash.update(piece);
    await writeWhole(descriptor, piece, null);
  }
  return `sha256:${hash.digest('hex')}`;
}

/** @param position null: behind what was written last */
export async function writeWhole(
  descriptor: number,
  bytes: Uint8Array,
  position: number | null,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === null ? null : position + done;
    done += (await writeSome(descriptor, bytes, done, bytes.length - done, at)).bytesWritten;
  }
}

export function assertDigest(found: string, wanted: string): void {
  if (found === wanted) return;
  throw new KilnError('blob.damaged', `The artifact ${wanted} is damaged: its bytes are those of ${found}.`, {
    next: 'Run again what made it.',
  });
}
