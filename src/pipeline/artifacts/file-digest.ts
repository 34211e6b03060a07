import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { KilnError } from '../../domain/errors.ts';

/** From the beginning to the end of what is open, whose own position stays. */
export async function descriptorDigest(descriptor: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const bytes = createReadStream('', { fd: descriptor, start: 0, autoClose: false, signal });
  for await (const piece of bytes) hash.update(piece);
  return `sha256:${hash.digest('hex')}`;
}

export function assertDigest(found: string, wanted: string): void {
  if (found === wanted) return;
  throw new KilnError('blob.damaged', `The artifact ${wanted} is damaged: its bytes are those of ${found}.`, {
    next: 'Run again what made it.',
  });
}
