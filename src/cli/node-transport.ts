/** The transport of the command line. `node:http` loads in a third of the time that `fetch` takes. */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { type Transport, type TransportRequest, unreachable } from '../api/transport.ts';
import { KilnError } from '../domain/errors.ts';

type Requester = (url: string, options: RequestOptions) => ClientRequest;

export const nodeTransport: Transport = async (request, signal) => {
  signal?.throwIfAborted();
  const send = await requester(request.url);
  const message = await head(send, request, signal);
  return {
    status: message.statusCode ?? 0,
    text: async () => {
      const pieces: Uint8Array[] = [];
      for await (const piece of body(message, request, signal)) pieces.push(piece);
      return Buffer.concat(pieces).toString('utf8');
    },
    body: body(message, request, signal),
  };
};

async function requester(url: string): Promise<Requester> {
  return url.startsWith('https:')
    ? (await import('node:https')).request
    : (await import('node:http')).request;
}

function head(send: Requester, request: TransportRequest, signal?: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = send(request.url, {
      method: request.method,
      headers:
        request.body === undefined
          ? request.headers
          : { ...request.headers, 'content-length': Buffer.byteLength(request.body) },
      ...(signal === undefined ? {} : { signal }),
    });
    call.setTimeout(request.headersTimeoutMs, () => call.destroy(new Error('no answer in time')));
    call.once('response', (message) => {
      call.setTimeout(request.silenceTimeoutMs, () => call.destroy(new Error('the answer stopped')));
      resolve(message);
    });
    call.once('error', (cause) => reject(signal?.aborted ? signal.reason : failure(request.url, cause)));
    call.end(request.body);
  });
}

async function* body(
  message: IncomingMessage,
  request: TransportRequest,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  try {
    for await (const piece of message) yield piece;
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw failure(request.url, cause);
  }
}

/** A certificate that is not trusted is not a server that is away: trying again does not help. */
function failure(url: string, cause: unknown): KilnError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (!/CERT|SELF_SIGNED|ERR_TLS|UNABLE_TO_VERIFY/.test(code)) return unreachable(url, cause);
  return new KilnError(
    'server.protocol',
    `The certificate of ${new URL(url).origin} is not trusted: ${code}.`,
    {
      cause,
      next: 'Set NODE_EXTRA_CA_CERTS to the file of its authority.',
    },
  );
}
