/**
 * The server's side of gRPC on one HTTP/2 connection (github.com/grpc/grpc, PROTOCOL-HTTP2.md): each stream is a call,
 * each message in it has five bytes before it, and trailers say how the call ended.
 */
import { once } from 'node:events';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { asKilnError, KilnError } from '../../domain/errors.ts';

const PREFIX_BYTES = 5;
/** Whoever calls asks in small messages; what it sends through is cut by it. */
const LONGEST_MESSAGE_BYTES = 4 * 1024 * 1024;
const STATUS = { ok: '0', unknown: '2', notFound: '5', unimplemented: '12' } as const;

export interface Call {
  readonly headers: IncomingHttpHeaders;
  /** What the caller sends; ends when it has said all. */
  readonly messages: AsyncIterable<Buffer>;
  /** Resolves when there is room for the next one. */
  send(message: Buffer): Promise<void>;
  readonly signal: AbortSignal;
}

/** Resolves when the answer is complete; `not-found` and all other failures become the call's status. */
export type Method = (call: Call) => Promise<void>;

/** By path: `/package.Service/Method`. */
export type Methods = Readonly<Record<string, Method>>;

/** @param onFailure told of what a method threw, which the caller sees as a status only */
export function serveCalls(
  session: ServerHttp2Session,
  methods: Methods,
  onFailure: (error: KilnError) => void,
): void {
  session.on('stream', (stream, headers) => {
    // What breaks a stream ends its call; the build that made the call says why.
    stream.on('error', () => stream.destroy());
    void answer(stream, headers, methods, onFailure);
  });
}

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  methods: Methods,
  onFailure: (error: KilnError) => void,
): Promise<void> {
  const gone = new AbortController();
  stream.once('close', () => gone.abort(new KilnError('aborted', 'The build has gone.')));
  let ending: Record<string, string> = { 'grpc-status': STATUS.ok };
  try {
    stream.once('wantTrailers', () => {
      if (!stream.closed) stream.sendTrailers(ending);
    });
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    const method = methods[String(headers[':path'])];
    const call = {
      headers,
      messages: messagesOf(stream),
      send: sender(stream, gone.signal),
      signal: gone.signal,
    };
    if (method === undefined) ending = { 'grpc-status': STATUS.unimplemented };
    else await method(call);
  } catch (thrown) {
    // Whoever called may have gone in the middle: then there is nobody to tell.
    if (gone.signal.aborted || stream.destroyed) return;
    const error = asKilnError(thrown);
    const status = error.code === 'not-found' ? STATUS.notFound : STATUS.unknown;
    ending = { 'grpc-status': status, 'grpc-message': encodeURIComponent(error.message.toWellFormed()) };
    onFailure(error);
  }
  if (!stream.destroyed) stream.end();
}

function sender(stream: ServerHttp2Stream, signal: AbortSignal): Call['send'] {
  return async (message) => {
    signal.throwIfAborted();
    const prefix = Buffer.alloc(PREFIX_BYTES);
    prefix.writeUInt32BE(message.length, 1);
    if (!stream.write(Buffer.concat([prefix, message]))) await once(stream, 'drain', { signal });
  };
}

async function* messagesOf(stream: ServerHttp2Stream): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0);
  // Whoever has heard enough may still answer.
  const chunks: AsyncIterable<Buffer> = stream.iterator({ destroyOnReturn: false });
  for await (const chunk of chunks) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= PREFIX_BYTES) {
      const length = pending.readUInt32BE(1);
      if (pending[0] !== 0 || length > LONGEST_MESSAGE_BYTES) {
        throw new KilnError(
          'target.rejected',
          'The Docker engine sent something that is no message of a build.',
        );
      }
      if (pending.length < PREFIX_BYTES + length) break;
      yield pending.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
      pending = pending.subarray(PREFIX_BYTES + length);
    }
  }
}
