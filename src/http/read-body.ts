import { KilnError } from '../domain/errors.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

/** The body as text, never more than 1 MB of it, whatever its header promises. */
export async function readBody(request: Request): Promise<string> {
  const promised = Number(request.headers.get('content-length') ?? 0);
  if (promised > BODY_LIMIT_BYTES) throw tooLarge();
  if (request.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let sizeBytes = 0;
  for await (const piece of request.body) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > BODY_LIMIT_BYTES) throw tooLarge();
    text += decoder.decode(piece, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(): KilnError {
  return new KilnError('input.too-large', `The body is larger than ${BODY_LIMIT_BYTES} bytes.`, {
    next: 'Send less: nothing that Kiln takes is that large.',
  });
}
