import { KilnError } from '../domain/errors.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

/** The body as it is, of an operation that takes bytes. */
export async function readBytes(request: Request, limitBytes: number): Promise<Uint8Array> {
  const type = request.headers.get('content-type') ?? 'none';
  if (type !== 'application/octet-stream') {
    throw new KilnError('input.media-type', `A body of type "${type}" cannot be read here.`, {
      next: 'Send bytes with `Content-Type: application/octet-stream`.',
    });
  }
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of request.body ?? []) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** The body as text, never more than 1 MB of it, whatever its header promises. */
export async function readBody(request: Request): Promise<string> {
  const promised = Number(request.headers.get('content-length') ?? 0);
  if (promised > BODY_LIMIT_BYTES) throw tooLarge(BODY_LIMIT_BYTES);
  if (request.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let sizeBytes = 0;
  for await (const piece of request.body) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > BODY_LIMIT_BYTES) throw tooLarge(BODY_LIMIT_BYTES);
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(limitBytes: number): KilnError {
  return new KilnError('input.too-large', `The body is larger than ${limitBytes} bytes.`, {
    next: 'Send less: nothing that Kiln takes at once is that large.',
  });
}
