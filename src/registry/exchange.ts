/** One request to a registry and its answer, both streamed. A connection that fails is `registry.unreachable`. */
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { KilnError } from '../domain/errors.ts';

/** Longest pause in which nothing at all moves on a connection. */
const SILENCE_LIMIT_MS = 60_000;

export interface Outgoing {
  readonly sizeBytes: number;
  /** Opened only when the connection stands; an error of it is not the registry's. */
  readonly open: () => Readable;
}

export interface ExchangeRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Outgoing;
  readonly signal: AbortSignal;
}

export interface ExchangeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end or destroyed. */
  readonly body: IncomingMessage;
}

/** Connections that are kept open between requests; one a registry client, closed with it. */
export class Connections {
  readonly #http = new http.Agent({ keepAlive: true });
  readonly #https = new https.Agent({ keepAlive: true });

  async exchange(wish: ExchangeRequest): Promise<ExchangeAnswer> {
    const { method, url, headers, body, signal } = wish;
    signal.throwIfAborted();
    const secure = url.protocol === 'https:';
    const size = body === undefined ? {} : { 'content-length': String(body.sizeBytes) };
    const request = (secure ? https : http).request(url, {
      method,
      headers: { ...headers, ...size },
      agent: secure ? this.#https : this.#http,
      signal,
      timeout: SILENCE_LIMIT_MS,
    });
    request.on('timeout', () => request.destroy(new Error('nothing moved for a minute')));
    const answered = Promise.withResolvers<IncomingMessage>();
    request.once('response', answered.resolve);
    request.once('error', (error) =>
      answered.reject(signal.aborted ? signal.reason : unreachable(url, error)),
    );
    if (body === undefined) {
      request.end();
    } else {
      const source = body.open();
      source.once('error', (error) => {
        answered.reject(error);
        request.destroy();
      });
      request.once('close', () => source.destroy());
      source.pipe(request);
    }
    const response = await answered.promise;
    return { status: response.statusCode ?? 0, headers: response.headers, body: response };
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }
}

/** Fails with `registry.unreachable` when the answer is cut off, `registry.refused` when it is longer than allowed. */
export async function readAnswer(
  answer: ExchangeAnswer,
  url: URL,
  limitBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of receivedFrom(answer, url, signal)) {
    size += piece.length;
    if (size > limitBytes) {
      throw new KilnError('registry.refused', `The registry's answer is longer than ${limitBytes} bytes.`, {
        next: 'See that the address is of an OCI registry.',
      });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Pieces as they come; a failure of the connection is named as such, one of whoever takes them is not. */
export async function* receivedFrom(
  { body }: ExchangeAnswer,
  url: URL,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const pieces: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await pieces.next().catch((error: unknown) => {
        throw signal.aborted ? signal.reason : unreachable(url, error);
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    body.destroy();
  }
}

export function unreachable(url: URL, cause: unknown): KilnError {
  const why = cause instanceof Error ? ` (${cause.message})` : '';
  return new KilnError('registry.unreachable', `The registry ${url.host} cannot be reached${why}.`, {
    cause,
    next: 'See that it runs, then try again: what was sent already is not sent twice.',
    retryable: true,
  });
}
