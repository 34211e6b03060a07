/** How one request reaches a server. A connection that fails, at any point, is `server.unreachable`. */
import { KilnError } from '../domain/errors.ts';

export interface TransportRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headersTimeoutMs: number;
  /** Longest pause between two pieces of the body. */
  readonly silenceTimeoutMs: number;
}

export interface TransportAnswer {
  readonly status: number;
  text(): Promise<string>;
  readonly body: AsyncIterable<Uint8Array>;
}

export type Transport = (request: TransportRequest, signal?: AbortSignal) => Promise<TransportAnswer>;

export function unreachable(url: string, cause: unknown): KilnError {
  const origin = URL.canParse(url) ? new URL(url).origin : 'this address';
  return new KilnError('server.unreachable', `No Kiln server answers at ${origin}.`, {
    cause,
    next: 'Start one with `kiln serve`, or with `kiln up DIR`; or set KILN_URL to where it listens.',
    retryable: true,
  });
}

/** The transport of browsers; a relative URL is relative to the page. */
export function fetchTransport(fetch: typeof globalThis.fetch): Transport {
  return async (request, signal) => {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), request.headersTimeoutMs);
    const signals = signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]);
    try {
      const response = await fetch(request.url, {
        method: request.method,
        headers: request.headers,
        ...(request.body === undefined ? {} : { body: request.body }),
        signal: signals,
        credentials: 'same-origin',
      });
      return {
        status: response.status,
        text: () => response.text(),
        body: bodyOf(response, request, limit, signal),
      };
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw unreachable(request.url, cause);
    } finally {
      clearTimeout(timer);
    }
  };
}

async function* bodyOf(
  response: Response,
  request: TransportRequest,
  limit: AbortController,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const timer = setTimeout(() => limit.abort(), request.silenceTimeoutMs);
      const piece = await reader.read().finally(() => clearTimeout(timer));
      if (piece.done) return;
      yield piece.value;
    }
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw unreachable(request.url, cause);
  } finally {
    await reader.cancel().catch(() => undefined); // already closed or broken: nothing is left to cancel
  }
}
